"""The configuration that the environment names."""

import os
from typing import Final

from broker.configuration.settings import config
from broker.configuration.settings.raw_settings import PREFIX
from broker.configuration.settings.toml_and_environment import CONFIG
from broker.core.errors import ConfigurationFaults, Fault

# OpenSSL and our HTTP libraries would write the secrets of each TLS connection to the file that
# this variable names. With them anybody who recorded the traffic could read CPR numbers.
_TLS_KEY_LOG: Final = "SSLKEYLOGFILE"


def configuration() -> config.Config:
    """Read the configuration. Raises ConfigurationFaults with all its faults.

    Every process does so before it connects to anybody: TLS secrets are then not logged.
    """
    os.environ.pop(_TLS_KEY_LOG, None)
    try:
        return config.load(None, os.environ)
    except ConfigurationFaults as found:
        if CONFIG in os.environ:
            raise
        fix = "set it to the path of a broker.toml; broker init DIR writes one"
        unset = Fault(CONFIG, "is not set", fix)
        is_from_environment = any(name.startswith(PREFIX) for name in os.environ)
        raise ConfigurationFaults([unset, *(found.faults if is_from_environment else ())]) from None
