"""Borrowers, the accounts in the library system.

Read ``matching.py`` first: whose borrower it is. ``wanted_borrower.py`` derives the wanted borrower
from a decision, ``change_plan.py`` plans the change to it, and ``enrolment.py`` is the stored
request. ``pins.py`` has the rules for PINs.
"""
