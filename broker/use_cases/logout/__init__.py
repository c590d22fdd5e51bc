"""Sessions of services, and their end."""
