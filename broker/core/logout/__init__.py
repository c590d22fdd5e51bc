"""Sessions at services, and the state of a single logout.

Read ``logout_state.py`` first: ``next_logout_step`` decides what comes next in a logout.
"""
