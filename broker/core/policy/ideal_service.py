"""A service that nothing is configured of: as a policy hopes."""

from broker.core.entities import Controller, Names, Service, Text


def ideal_service(name: str, methods: Names = ()) -> Service:
    """Return a service with a stated controller, a key and a scope; a URI is a category's name."""
    category = (name,) if ":" in name else ()
    unread = Text(name, name)  # no rule looks at what a service or its controller is called
    return Service(
        name,
        name,
        unread,
        methods,
        controller=Controller(unread),
        categories=category,
        encrypts=True,
        scope="library.example",
    )
