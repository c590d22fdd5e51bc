"""What is stored about one person: found, exported and deleted."""
