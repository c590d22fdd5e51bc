"""A simulated register of persons (CPR), written from its published documentation only."""
