"""The settings of a Koha library system: the keys of ``[library]``. Secrets are never shown."""

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from broker.adapters.library_systems.library_settings import ConnectionKeys

# The fields that a policy may write, by Koha's own names. None of them can hold the CPR number, the
# enrolment id or the rights.
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
_CARD_NUMBER: Final = (
    'write "cpr": the CPR number is the card number, as on the health card; '
    'or "system": Koha gives one (autoMemberNum)'
)


class KohaKeys(ConnectionKeys):
    """The keys of ``[library]`` for a Koha.

    ``url`` ends before ``/api/v1``; ``library_id`` is the home branch of new borrowers.
    ``unique_field`` is the database-unique field that holds the CPR number of borrowers that the
    broker makes, ``mark_field`` the field reserved for the enrolment id. With ``card_number`` "cpr"
    the CPR number is the card number too, with "system" Koha gives one. ``cpr_attribute`` is the
    extended attribute with the CPR number, if the library has one. ``cpr_fields`` are the fields in
    which ten digits are a CPR number: leave out "cardnumber" if the library has other card numbers
    of ten digits.
    """

    api_path = "/api/v1"
    no_default: ClassVar[Mapping[str, str]] = {"card_number": _CARD_NUMBER}

    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    library_id: str = Field(min_length=1, max_length=10)
    mark_field: Literal["statistics_1", "statistics_2"] = "statistics_1"
    # An extended attribute is no choice: Koha's database does not keep it unique.
    unique_field: Literal["userid", "cardnumber"] = "userid"
    card_number: Literal["cpr", "system"]
    cpr_attribute: str = Field("", max_length=10, pattern=r"^\w*$")
    cpr_fields: tuple[Literal["userid", "cardnumber"], ...] = ("userid", "cardnumber")

    @field_validator("card_number")
    @classmethod
    def _check_unique_field_is_free(cls, card_number: str, found: ValidationInfo) -> str:
        if card_number == "system" and found.data.get("unique_field") == "cardnumber":
            raise ValueError('needs unique_field = "userid": Koha writes the card number itself')
        return card_number

    @field_validator("cpr_fields")
    @classmethod
    def _check_unique_field_is_searched(
        cls, fields: tuple[str, ...], found: ValidationInfo
    ) -> tuple[str, ...]:
        # If the broker could not find a borrower that it has made, it would make the borrower again
        # at each login, and Koha would reject the duplicate each time.
        written = {found.data.get("unique_field", "")}
        if found.data.get("card_number") == "cpr":
            written.add("cardnumber")
        missing = sorted(written - {"", *fields})
        if missing:
            why = "the broker writes the CPR number of new borrowers there"
            raise ValueError(f"must name {', '.join(missing)}: {why}")
        return fields

    @property
    def fields(self) -> frozenset[str]:
        """The names that a policy may use under ``borrower.fields``."""
        return FIELDS
