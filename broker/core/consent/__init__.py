"""What is disclosed to a service, and the consent that it needs."""
