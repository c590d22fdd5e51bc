"""The audit trail: events in one keyed chain of lines, whose persons can be forgotten without breaking it."""
