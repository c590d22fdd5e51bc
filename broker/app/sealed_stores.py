"""Opens the store that the configuration names, sealed by the keys that it names."""

from broker.adapters.saml.keys import key_ring
from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.core.ports import Store
from broker.files import durable_files
from broker.files.settings.config import Config


def bare(settings: Config) -> Store:
    """Open the store, and the folder of the state before it: what fails there fails both."""
    table = settings.store
    durable_files.make_state(settings.state)
    folder = settings.keys.parent
    return open_store(table.url, folder, accept_loss=table.accept_loss)


def sealed(store: Store | None, ring: key_ring.KeyRing | None) -> Store | None:
    """Return the store sealed by the ring; None where one of them could not be opened."""
    if store is None or ring is None:
        return None  # what it lacks is told already
    return EncryptedStore(store, ring.sealing, ring.sealing_id)
