"""Values and decisions, without a framework, a file or a clock.

Read ``login/next_step.py`` first: the only function that decides what comes next in a login.
``identity`` reads who the person is, ``policy`` decides what is permitted, ``consent`` what must be
asked, ``borrowers`` what becomes of the library account. ``ports.py`` lists what the core expects
of the outside.
"""
