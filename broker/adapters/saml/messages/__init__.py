"""Shared by IdP role, SP role and logout: values of messages, our addresses, upstream profiles."""
