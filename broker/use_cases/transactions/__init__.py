"""The transaction of a login as stored, and the login evaluated by the policies."""
