"""The broker as service provider and as identity provider: the messages it writes and accepts."""
