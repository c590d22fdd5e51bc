"""What the settings of every register have in common: our certificate, the bound of a call."""

from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from broker.core.errors import ConfigurationFaults, Fault
from broker.files.checked_files import sentence


class RegisterKeys(BaseModel):
    """The keys of ``[person_register]`` that no register goes without.

    ``certificate`` and ``key`` are PEM files of our own OCES certificate. ``timeout`` bounds one
    call, in seconds; ``ca_file`` is for a private authority.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    certificate: str = ""
    key: str = ""
    timeout: float = Field(10.0, gt=0, le=60)
    ca_file: str = ""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key are written together")
        return self

    @property
    def client_certificate(self) -> tuple[str, str] | None:
        """The files of our certificate and its key; None where none is named."""
        if not self.certificate:
            return None
        return self.certificate, self.key

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Return the settings from the keys of ``[person_register]``.

        ConfigurationFaults with all faults, none of which quotes a value.
        """
        misfits: list[ErrorDetails] = []
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            misfits.extend(error.errors(include_input=False))
        # Raised out here: the error of the checks holds the values, the secret among them.
        keys = f"keys: {', '.join(cls.model_fields)}"
        raise ConfigurationFaults([_fault(misfit, keys) for misfit in misfits])


def sound_address(url: str) -> str:
    """Return an https address without its last slash; ValueError for any other text."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise ValueError("must be https: CPR numbers and tokens travel over it")
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be an address without user, query and fragment")
    return url.rstrip("/")


def _fault(misfit: ErrorDetails, keys: str) -> Fault:
    where = ".".join(("person_register", *map(str, misfit["loc"])))
    return Fault(where, sentence(misfit), keys)
