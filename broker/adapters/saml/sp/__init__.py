"""The service provider role: sends AuthnRequests to upstreams and verifies their Responses."""
