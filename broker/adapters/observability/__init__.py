"""Application log, metrics and message log, for the people who run the broker."""
