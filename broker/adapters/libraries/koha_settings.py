"""The keys of ``[library]`` for a Koha, and of ``[library.sip2]``; no secret is ever shown."""

from collections.abc import Mapping
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from broker.core.errors import ConfigurationFaults, Fault
from broker.files.checked_files import sentence

# The fields that a policy may write, in Koha's own names. None of them can hold the person's key,
# the mark or the rights.
FIELDS: Final = frozenset(
    {
        "surname",
        "firstname",
        "middle_name",
        "title",
        "email",
        "phone",
        "mobile",
        "address",
        "address2",
        "postal_code",
        "city",
        "country",
        "date_of_birth",
    }
)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_NO_DEFAULT: Final = (
    'write "cpr": the CPR number is the card number, as on the health card; '
    'or "system": Koha gives one (autoMemberNum)'
)


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


class KohaKeys(BaseModel):
    """The keys of ``[library]`` for a Koha.

    ``url`` ends before ``/api/v1``; ``library_id`` is the home branch of new borrowers.
    ``unique_field`` is the database-unique field that holds the CPR of those we make,
    ``mark_field`` the one reserved for the enrolment id. With ``card_number`` "cpr" the CPR is the
    card number too, with "system" Koha gives one; ``cpr_attribute`` is the extended attribute with
    the CPR, where the library has one; ``cpr_fields`` are the fields in which ten digits are a CPR:
    a library whose cards have numbers of ten digits leaves out the card number. ``query_in`` is the
    part of a search request that carries the query. ``timeout`` bounds one call, in seconds;
    ``ca_file`` is for a private authority.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    library_id: str = Field(min_length=1, max_length=10)
    mark_field: Literal["statistics_1", "statistics_2"] = "statistics_1"
    # Koha's attributes are not unique in its database.
    unique_field: Literal["userid", "cardnumber"] = "userid"
    card_number: Literal["cpr", "system"]
    cpr_attribute: str = Field("", max_length=10, pattern=r"^\w*$")
    cpr_fields: tuple[Literal["userid", "cardnumber"], ...] = ("userid", "cardnumber")
    query_in: Literal["body", "header"] = "body"
    timeout: float = Field(10.0, gt=0, le=60)
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
        if "/api" in parts.path:
            raise ValueError("must end before /api/v1")
        return url.rstrip("/")

    @field_validator("card_number")
    @classmethod
    def _leaves_the_unique_field(cls, card_number: str, found: ValidationInfo) -> str:
        if card_number == "system" and found.data.get("unique_field") == "cardnumber":
            raise ValueError('needs unique_field = "userid": Koha writes the card number itself')
        return card_number

    @field_validator("cpr_fields")
    @classmethod
    def _finds_our_own(cls, fields: tuple[str, ...], found: ValidationInfo) -> tuple[str, ...]:
        # A borrower we make and do not find again would be made at each login, and refused as taken
        # for ever.
        written = {found.data.get("unique_field", "")}
        if found.data.get("card_number") == "cpr":
            written.add("cardnumber")
        missing = sorted(written - {"", *fields})
        if missing:
            why = "the CPR of those we make is written there"
            raise ValueError(f"must name {', '.join(missing)}: {why}")
        return fields

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Return the settings from the keys of ``[library]``.

        ConfigurationFaults with all faults, none of which quotes a value.
        """
        faults: list[Fault] = []
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            faults.extend(map(_fault, error.errors(include_input=False)))
        # Raised out here: the error of the checks holds the values, the secret among them.
        raise ConfigurationFaults(faults)

    @property
    def fields(self) -> frozenset[str]:
        """The names that a policy may use under ``borrower.fields``."""
        return FIELDS


def _fault(misfit: ErrorDetails) -> Fault:
    path = misfit["loc"]
    where = ".".join(("library", *map(str, path)))
    if path == ("card_number",) and misfit["type"] != "value_error":
        return Fault(where, "must be written", _NO_DEFAULT)
    keys = Sip2Keys.model_fields if path[:1] == ("sip2",) else KohaKeys.model_fields
    return Fault(where, sentence(misfit), f"keys: {', '.join(keys)}")
