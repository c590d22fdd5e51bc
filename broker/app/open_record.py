"""Opens the record of the policies in force for whoever only reports: no store is made for it."""

from typing import Final

from broker.adapters.saml.keys import key_ring
from broker.app import sealed_stores
from broker.core.errors import BrokerError
from broker.files.settings.config import Config
from broker.use_cases.policies.set_in_force import SetInForce

_SQLITE: Final = "sqlite:"


def record_of(settings: Config) -> SetInForce | None:
    """Return the record of the set in force; None where there is no store, or no key to open it.

    Whoever reports makes nothing: a store that is not there is not made.
    """
    url = settings.store.url
    if url.startswith(_SQLITE):
        path = settings.keys.parent / url.removeprefix(_SQLITE)
        if not path.is_file():
            return None
    try:
        ring = key_ring.load(settings.keys)
        store = sealed_stores.sealed(sealed_stores.bare(settings), ring)
    except (BrokerError, OSError):
        return None
    return SetInForce(store) if store else None
