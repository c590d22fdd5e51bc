"""The staff view: logins and sessions of staff, and the search for a person.

Read ``staff_sessions.py`` first: it says who is logged in and with which roles.
"""
