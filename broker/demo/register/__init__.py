"""A simulated register of persons, after its published interface: nothing of it was observed."""
