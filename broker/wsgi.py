"""The broker for any WSGI server: ``gunicorn broker.wsgi:app``, together with ``broker work``."""

import sys

from broker.app.server import ReloadingApplication
from broker.core.errors import BrokerError, ConfigurationFaults

_LOADING_FAILED = 4  # gunicorn stops on this code; on another one it would start workers for ever


def _load() -> ReloadingApplication:
    """Make the application, or print each fault of its configuration and exit."""
    try:
        return ReloadingApplication()
    except BrokerError as error:
        faults = error.faults if isinstance(error, ConfigurationFaults) else [error]
        for fault in faults:
            sys.stderr.write(f"{fault}\n")
        raise SystemExit(_LOADING_FAILED) from None


app = _load()
