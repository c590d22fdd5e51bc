"""What the broker tells those who run it: the application log, the metrics, and the log of signed messages."""
