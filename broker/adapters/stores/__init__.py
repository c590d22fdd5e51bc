"""Stores of records, counters and queues, each behind the port ``Store``.

Source: docs/reference/design.md#4b.
"""
