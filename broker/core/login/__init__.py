"""One login or sign-up in progress, and the step that comes next in it.

Read ``next_step.py`` first: only it decides what comes next. ``transaction.py`` has the stored
facts of a login and ``steps.py`` the possible steps. ``authentication_reading.py`` and
``authn_context.py`` read what an upstream sent.
"""
