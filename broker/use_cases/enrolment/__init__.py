"""Enrolments: find a person's borrower, create or change it, and open cases for staff.

Read ``borrower_at_login.py`` first: what a login does about the borrower. ``find_borrower.py`` asks
the library system, ``requests.py`` stores a request, and ``worker.py`` carries it out in the
background. ``borrower_claims.py`` connects an older borrower, ``cases.py`` is for staff, and
``register_look_ups.py`` asks the register of persons for addresses.
"""
