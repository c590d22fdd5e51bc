"""The policy files: their schema, their checks, and the set in force."""
