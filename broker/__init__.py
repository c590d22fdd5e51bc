"""A federated identity broker: a SAML proxy that decides by policy, asks the person, and enrols."""
