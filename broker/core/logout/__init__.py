"""Sessions of services, and the state of a single logout."""
