"""SAML as the simulated parties speak it."""
