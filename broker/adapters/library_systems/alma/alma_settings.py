"""The settings of an Alma library system: the keys of ``[library]``."""

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from broker.adapters.library_systems.library_settings import ConnectionKeys

BARCODE: Final = "BARCODE"
# Fields that a policy may write: those of all library systems, and those of Alma only. None of
# them can hold the person's CPR number or rights.
FIELDS: Final = frozenset(
    {
        "surname",
        "firstname",
        "middle_name",
        "email",
        "phone",
        "mobile",
        "address",
        "address2",
        "postal_code",
        "city",
        "date_of_birth",
        "pref_first_name",
        "pref_last_name",
    }
)
_TYPE: Final = r"^\w{1,50}$"
_TYPE_OR_NONE: Final = r"^\w{0,50}$"
_NO_DEFAULT: Final = {
    "card_number": 'write "cpr": the CPR number is the barcode, as on the health card; '
    'or "system": one that the broker gives',
    "cpr_identifier_type": "write the code of the User Identifier Type that holds the CPR number",
    "external_id": "write the code of the SIS profile that external users belong to",
}


class AlmaKeys(ConnectionKeys):
    """The keys of ``[library]`` for an Alma.

    ``url`` is the region's gateway. ``external_id`` is the SIS profile of new users.
    ``cpr_identifier_type`` is the identifier type of the CPR number. With ``card_number`` "cpr" the
    barcode is the CPR number too, with "system" the broker makes one. The primary id of a new user
    is ``series_prefix`` followed by the enrolment id. ``number_identifier_type`` is the identifier
    type with the borrower number of users whose primary id contains a CPR number.
    ``user_name_identifier_type`` is the type with the user names that people type.
    """

    api_path = "/almaws/v1"
    no_default: ClassVar[Mapping[str, str]] = _NO_DEFAULT

    api_key: SecretStr = Field(min_length=1)
    external_id: str = Field(min_length=1, max_length=50)
    cpr_identifier_type: str = Field(pattern=_TYPE)
    card_number: Literal["cpr", "system"]
    number_identifier_type: str = Field("", pattern=_TYPE_OR_NONE)
    user_name_identifier_type: str = Field("", pattern=_TYPE_OR_NONE)
    # It begins with a letter, because no primary id may look like a CPR number.
    series_prefix: str = Field("L-", pattern=r"^[A-Za-z][A-Za-z-]{0,9}$")
    purge_after_months: int = Field(12, ge=0, le=120)
    email_type: str = Field("personal", pattern=_TYPE)
    address_type: str = Field("home", pattern=_TYPE)

    @model_validator(mode="after")
    def _check_number_is_written(self) -> Self:
        if self.cpr_identifier_type == BARCODE and self.card_number == "system":
            raise ValueError('cpr_identifier_type "BARCODE" needs card_number = "cpr"')
        return self

    @property
    def cpr_types(self) -> tuple[str, ...]:
        """The identifier types whose values are CPR numbers."""
        types = [self.cpr_identifier_type]
        if self.card_number == "cpr":
            types.append(BARCODE)
        return tuple(dict.fromkeys(types))

    @property
    def fields(self) -> frozenset[str]:
        """The names that a policy may use under ``borrower.fields``."""
        return FIELDS
