"""The parts of the configuration: the tables it has, the places it is read from, and what must agree across tables."""
