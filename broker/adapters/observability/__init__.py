"""The application log, the metrics and the message log, for the people who run the broker."""
