"""The configuration that the environment names; a command without one is told so first."""

import os
from collections.abc import Mapping
from typing import Final

from broker.configuration.settings import config
from broker.configuration.settings.raw_settings import PREFIX
from broker.configuration.settings.toml_and_environment import CONFIG
from broker.core.errors import ConfigurationFaults, Fault

# Where libraries under us would write the secrets of every TLS connection: with them whoever has
# kept the traffic reads the CPR numbers in it.
_KEY_LOG: Final = "SSLKEYLOGFILE"


def keep_no_tls_secrets() -> None:
    """Let no TLS connection of this process, or of what it starts, write its secrets to a file."""
    os.environ.pop(_KEY_LOG, None)


def read_config(environ: Mapping[str, str] | None = None) -> config.Config:
    """Read the configuration named by the environment; ConfigurationFaults with all its faults."""
    if environ is None:
        environ = os.environ
    return config.load(None, environ)


def configuration() -> config.Config:
    """Read the configuration; ConfigurationFaults, the first of which is that no file is named."""
    if CONFIG in os.environ:
        return read_config()
    fix = "set it to the path of a broker.toml; broker init DIR writes one"
    unset = Fault(CONFIG, "is not set", fix)
    if not any(name.startswith(PREFIX) for name in os.environ):
        raise ConfigurationFaults([unset])
    try:
        return read_config()
    except ConfigurationFaults as found:
        raise ConfigurationFaults([unset, *found.faults]) from None
