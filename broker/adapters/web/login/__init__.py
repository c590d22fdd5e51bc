"""The pages and endpoints of a login and a logout."""
