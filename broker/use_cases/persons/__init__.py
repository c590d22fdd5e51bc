"""What is kept about one person: found, shown to them, and forgotten."""
