"""The properties of every attribute: number of values, pattern, scope, and effect of a fault.

They belong to the attribute. An attribute map cannot change them: a map that could leave out a
scope would let a foreign institution assert ``employee@au.dk``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class AttributeProperties:
    """The properties of one attribute.

    ``pattern`` must match a whole value. ``scope`` is "exact" where the scope of a value must be
    one of its institution, "sub" where it may also lie below one, None where it has no scope.
    ``identity``: a fault refuses the login instead of withholding the value. ``opaque``: a random
    id, in which a CPR-shaped run of digits may be chance (cpr.looks_like_cpr).
    """

    single: bool = False
    pattern: str | None = None
    scope: Literal["exact", "sub"] | None = None
    identity: bool = False
    opaque: bool = False


_ROLE: Final = "student|faculty|staff|affiliate|alum|employee|library-walk-in|member"
_SUBJECT: Final = r"[A-Za-z0-9][A-Za-z0-9=-]{0,126}@[A-Za-z0-9][A-Za-z0-9.-]{0,126}"
_PRINCIPAL: Final = r"[^@\s]+@[A-Za-z0-9][A-Za-z0-9.-]*[A-Za-z0-9]"
_UUID: Final = "[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_TEXT: Final = AttributeProperties(pattern=r"\S.*")
_ONE_TEXT: Final = AttributeProperties(single=True, pattern=r"\S.*")
_ONE_WORD: Final = AttributeProperties(single=True, pattern=r"\S+")
_WORD: Final = AttributeProperties(pattern=r"\S+")
_ONE: Final = AttributeProperties(single=True)
_CVR: Final = AttributeProperties(single=True, pattern="[0-9]{8}")
_NSIS: Final = AttributeProperties(single=True, pattern="Low|Substantial|High")
_SUBJECT_ID: Final = AttributeProperties(
    single=True, pattern=_SUBJECT, scope="exact", identity=True, opaque=True
)

_KNOWN: Final[Mapping[str, AttributeProperties]] = {
    "cn": _ONE_TEXT,
    "gn": _ONE_TEXT,
    "sn": _ONE_TEXT,
    "displayName": _ONE_TEXT,
    "eduPersonPrincipalName": AttributeProperties(
        single=True, pattern=_PRINCIPAL, scope="exact", identity=True
    ),
    "eduPersonPrincipalNamePrior": AttributeProperties(pattern=_PRINCIPAL),
    "eduPersonPrimaryAffiliation": AttributeProperties(single=True, pattern=_ROLE),
    "eduPersonAffiliation": AttributeProperties(pattern=_ROLE),
    "eduPersonScopedAffiliation": AttributeProperties(
        pattern=r"[^@\s]+@[A-Za-z0-9.-]+", scope="sub"
    ),
    "organizationName": _ONE_TEXT,
    "eduPersonAssurance": AttributeProperties(pattern=r"[1-4]|Low|Substantial|High|https?://\S+"),
    "cpr": AttributeProperties(),
    "norEduPersonLIN": _WORD,
    "mail": AttributeProperties(pattern=r"[^@\s]+@[^@\s]+"),
    "preferredLanguage": AttributeProperties(pattern="[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*"),
    "schacDateOfBirth": AttributeProperties(
        single=True, pattern="[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}-[0-9]{2}-[0-9]{4}"
    ),
    "schacYearOfBirth": AttributeProperties(single=True, pattern="[0-9]{4}"),
    "schacHomeOrganization": AttributeProperties(
        single=True, pattern=r"[a-z0-9.-]+\.[a-z]{2,}", scope="exact", identity=True
    ),
    "schacHomeOrganizationType": AttributeProperties(
        single=True, pattern=r"urn:(mace:terena\.org:)?schac:homeOrganizationType:.+"
    ),
    "schacCountryOfCitizenship": AttributeProperties(pattern="[A-Za-z]{2}"),
    "schacPersonalUniqueCode": AttributeProperties(
        pattern=r"urn:(mace:terena\.org:)?schac:personalUniqueCode:.+"
    ),
    "schacGender": AttributeProperties(single=True, pattern="[0129]"),
    "eduPersonTargetedID": AttributeProperties(single=True, pattern=r"\S+", opaque=True),
    "eduPersonEntitlement": AttributeProperties(pattern=r"(urn:|https?://)\S+"),
    "eduPersonUniqueId": AttributeProperties(
        single=True, pattern="[A-Za-z0-9]{1,64}@[A-Za-z0-9.-]+", scope="exact", opaque=True
    ),
    "pairwise-id": _SUBJECT_ID,
    "subject-id": _SUBJECT_ID,
    "isMemberOf": _WORD,
    "uid": _ONE_WORD,
    "mobile": AttributeProperties(pattern=r"\+?[0-9 ]{6,20}"),
    "ou": _TEXT,
    "street": _ONE,
    "postalAddress": _ONE,
    "postalCode": AttributeProperties(single=True, pattern="[0-9]{4}"),
    "localityName": _ONE,
    "entryUUID": AttributeProperties(single=True, pattern="[0-9a-fA-F-]{36}", opaque=True),
    "oioCvrNumberIdentifier": _CVR,
    "cvr": _CVR,
    "rid": _ONE_WORD,
    "pid": AttributeProperties(
        single=True, pattern="[0-9]{4}-[0-9]{4}-[0-9]-[0-9]{12}", opaque=True
    ),
    "cprUuid": AttributeProperties(
        single=True, pattern=f"(urn:uuid:)?{_UUID}", identity=True, opaque=True
    ),
    "specVersion": _ONE_WORD,
    "assuranceLevel": AttributeProperties(single=True, pattern="[1-4]"),
    "ial": _NSIS,
    "aal": _NSIS,
}
_UNKNOWN: Final = AttributeProperties()


def find_properties(name: str) -> AttributeProperties:
    """Return the properties of the attribute ``name``; of an unknown one those of any text."""
    return _KNOWN.get(name, _UNKNOWN)


def is_known_attribute(name: str) -> bool:
    """Return whether the properties of an attribute are known."""
    return name in _KNOWN
