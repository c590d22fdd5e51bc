"""The broker as a WSGI application, for the server of your choice; ``broker serve`` is ours."""

from broker.app.application import create_app

app = create_app()
