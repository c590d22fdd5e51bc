"""The keys of ``[register]`` for Datafordeler's GraphQL service of the CPR register."""

from collections.abc import Mapping
from typing import Final, Literal, Self
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

from broker.core.errors import ConfigurationFaults, Fault
from broker.files.checked_files import sentence

_TOKEN_URL: Final = (
    "https://auth-oces.datafordeler.dk/realms/distribution/protocol/openid-connect/token"  # noqa: S105 - an address
)


class DatafordelerKeys(BaseModel):
    """The keys of ``[register]`` with ``system = "datafordeler"``.

    ``certificate`` and ``key`` are PEM files of the IT system's OCES3 certificate, in whose place,
    or beside them, ``client_secret`` stands where the system has one. ``version`` is that of the
    GraphQL schema, ``also`` what is asked for beyond the fields that have been seen to work
    (docs/person-register.md#observed). ``timeout`` bounds one call, in seconds; ``ca_file`` is for
    a private authority.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = "https://graphql.datafordeler.dk"
    token_url: str = _TOKEN_URL
    version: str = Field("v1", pattern=r"^v[1-9][0-9]?$")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = SecretStr("")
    certificate: str = ""
    key: str = ""
    also: tuple[Literal["current_number", "guardianship"], ...] = ()
    timeout: float = Field(10.0, gt=0, le=60)
    ca_file: str = ""

    @field_validator("url", "token_url")
    @classmethod
    def _sound(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https":
            raise ValueError("must be https: CPR numbers and tokens travel over it")
        if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("must be an address without user, query and fragment")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key are written together")
        if not self.certificate and not self.client_secret.get_secret_value():
            raise ValueError("needs certificate and key, or client_secret")
        return self

    @property
    def client_certificate(self) -> tuple[str, str] | None:
        """The files of our certificate and its key; None where a secret alone is used."""
        if not self.certificate:
            return None
        return self.certificate, self.key

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Return the settings from the keys of ``[register]``.

        ConfigurationFaults with all faults, none of which quotes a value.
        """
        faults: list[Fault] = []
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            faults.extend(map(_fault, error.errors(include_input=False)))
        # Raised out here: the error of the checks holds the values, the secret among them.
        raise ConfigurationFaults(faults)


def _fault(misfit: ErrorDetails) -> Fault:
    where = ".".join(("register", *map(str, misfit["loc"])))
    return Fault(where, sentence(misfit), f"keys: {', '.join(DatafordelerKeys.model_fields)}")
