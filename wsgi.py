"""The broker as a WSGI application, for the server of your choice; ``broker serve`` is ours.

Beside it run ``broker work``, and have each process of the server call ``refresh`` once a second,
beside its requests: it puts changed policies and metadata in force.
"""

from functools import partial

from broker.app import live_reload
from broker.app.application import create_app

app = create_app()
refresh = partial(live_reload.refresh, app.extensions["broker"])
