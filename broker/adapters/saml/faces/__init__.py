"""The broker as a service provider and as an identity provider: the messages it writes and believes."""
