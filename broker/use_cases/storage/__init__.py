"""Records in the store, the person record, the queue of mails, rate limits, and the worker loop.

Read ``records.py`` first: everything is stored through it. ``person_records.py`` stores the record
of each person and the indexes that lead to it.
"""
