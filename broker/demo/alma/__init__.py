"""A simulated Alma: its users over HTTP, and its machines over SIP2."""
