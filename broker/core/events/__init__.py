"""Events: what the audit log, the program log and the metrics are given."""
