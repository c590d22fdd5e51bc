"""The audit log: one keyed chain of lines, whose persons can be forgotten without breaking it."""
