"""Sessions at services, and the state of a single logout.

Read ``single_logout.py`` first: ``next_logout_step`` decides what comes next in a logout.
"""
