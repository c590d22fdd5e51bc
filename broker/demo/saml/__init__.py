"""SAML of the simulated parties: keys, logout messages and logout pages."""
