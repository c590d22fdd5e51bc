"""Stores of records, counters and queues, each behind the port ``Store`` (design 4b)."""
