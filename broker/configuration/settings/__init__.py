"""The configuration: its tables, the sources it is read from, and what must agree across tables."""
