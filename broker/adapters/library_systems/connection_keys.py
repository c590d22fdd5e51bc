"""The keys of ``[library]`` for any system that is spoken to: address, bounds, machine account."""

import ssl
from collections.abc import Mapping
from typing import ClassVar, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from broker.adapters.library_systems.sip2 import Sip2Account, Sip2Client
from broker.core.borrowers.library_calls import LibraryCallObserver
from broker.core.errors import ConfigurationFaults, Fault
from broker.files.checked_files import sentence

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Sip2Keys(BaseModel):
    """The keys of ``[library.sip2]``: the account by which a PIN is tried as a machine tries it.

    ``location`` goes as institution and as location. SIP2 itself is plain text: off loopback
    (a tunnel's near end) it needs ``tls``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field(min_length=1)
    port: int = Field(6001, ge=1, le=65_535)
    login: str = Field(min_length=1, pattern=r"^[^|\r\n]*$")
    password: SecretStr = Field(min_length=1)
    location: str = Field("", pattern=r"^[^|\r\n]*$")
    tls: bool = False

    @model_validator(mode="after")
    def _no_pin_in_the_clear(self) -> Self:
        if not self.tls and self.host not in _LOOPBACK:
            raise ValueError("needs tls = true off loopback: CPR numbers and PINs travel over it")
        return self


class ConnectionKeys(BaseModel):
    """The keys that every connector has.

    ``url`` ends before ``api_path``; ``timeout`` bounds one call, in seconds; ``connections`` is
    the number of connections of a process; ``ca_file`` is for a private authority.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_path: ClassVar[str]
    # What is to be written for a key that has no default, in place of the list of keys.
    no_default: ClassVar[Mapping[str, str]] = {}

    url: str
    timeout: float = Field(10.0, gt=0, le=60)
    connections: int = Field(2, ge=1, le=64)
    ca_file: str = ""
    sip2: Sip2Keys | None = None

    @field_validator("url")
    @classmethod
    def _sound(cls, url: str) -> str:
        parts = urlsplit(url)
        local = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if parts.scheme != "https" and not local:
            raise ValueError("must be https: CPR numbers travel over it")
        if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("must be an address without user, query and fragment")
        if cls.api_path.rpartition("/")[0] in parts.path + "/":
            raise ValueError(f"must end before {cls.api_path}")
        return url.rstrip("/")

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Return the settings from the keys of ``[library]``.

        ConfigurationFaults with all faults, none of which quotes a value.
        """
        faults: list[Fault] = []
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            faults.extend(map(cls._fault, error.errors(include_input=False)))
        # Raised out here: the error of the checks holds the values, the secret among them.
        raise ConfigurationFaults(faults)

    @classmethod
    def _fault(cls, misfit: ErrorDetails) -> Fault:
        path = misfit["loc"]
        where = ".".join(("library", *map(str, path)))
        unwritten = cls.no_default.get(str(path[0])) if len(path) == 1 else None
        if unwritten and misfit["type"] != "value_error":
            return Fault(where, "must be written", unwritten)
        keys = Sip2Keys.model_fields if path[:1] == ("sip2",) else cls.model_fields
        return Fault(where, sentence(misfit), f"keys: {', '.join(keys)}")

    def machine(self, observe: LibraryCallObserver) -> Sip2Client | None:
        """Return the machine by which PINs are tried; None without ``[library.sip2]``."""
        keys = self.sip2
        if keys is None:
            return None
        tls = None
        if keys.tls:
            tls = ssl.create_default_context(cafile=self.ca_file or None)
        password = keys.password.get_secret_value()
        account = Sip2Account(keys.host, keys.port, keys.login, password, keys.location, tls)
        return Sip2Client(account, observe)
