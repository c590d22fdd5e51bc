"""Records in the store, the person record, the queue of mails, limits, and the loop of the worker.

Read ``records.py`` first: everything is stored through it. ``person_records.py`` keeps the one
record of a person and the indexes that lead to it.
"""
