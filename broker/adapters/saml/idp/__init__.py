"""The identity provider role: reads AuthnRequests of services and writes Responses to them."""
