"""Self-service machines (SIP2), for any simulated system."""
