"""A login from its AuthnRequest to the assertion that is issued."""
