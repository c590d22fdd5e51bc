"""The library system behind a circuit breaker, and the proof of its set-up."""
