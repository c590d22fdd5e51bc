"""The transaction of a login in the store, and its evaluation.

Read ``transactions.py`` first. ``evaluated_login.py`` reads attributes and lets the policies
decide. ``person_identification.py`` computes the person id.
"""
