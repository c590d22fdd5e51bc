"""The entry for servers that look for ``wsgi:app`` in the folder of a checkout."""

from broker.wsgi import app

__all__ = ["app"]
