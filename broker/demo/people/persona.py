"""The data type of the demo's invented people, and the attributes asserted about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

AU: Final = "https://idp.au.example"
KU: Final = "https://idp.ku.example"
NEMLOGIN: Final = "https://nemlogin.wayf.dk"
LIBRARY_ACCOUNT: Final = "desk"  # no institution: only the library system knows the person
NEMLOGIN_BIRK: Final = "https://birk.wayf.dk/birk.php/nemlogin.wayf.dk"

_CPR: Final = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"


@dataclass(frozen=True, slots=True)
class Persona:
    """An invented person: the upstream, the asserted attributes, and the expected outcome.

    ``expect`` is the reason of a refusal, the category of the resulting account, or "" for no
    account.
    """

    name: str
    institution: str
    story: tuple[str, str]  # English, Danish
    attributes: Mapping[str, tuple[str, ...]]
    expect: str
    registered: tuple[Mapping[str, str], ...] = ()  # borrowers that staff registered
    service: str = "my-loans"
    sign_up: str | None = None  # the affiliation chosen on the sign-up pages
    mailbox: str | None = None  # a mail address that this person can prove
    claims: bool = False  # whether this person claims the registered borrower
    upgrade: bool | None = None  # the answer to the first offer of another category
    pin: str | None = None  # of the registered borrower
    loans: tuple[str, ...] = ()  # of the registered borrower
    logs_in_after: str | None = None  # the persona who must log in before

    @property
    def upstream(self) -> str:
        """Return the name of the upstream for this person's login."""
        return {NEMLOGIN: "nemid", LIBRARY_ACCOUNT: "library"}.get(self.institution, "wayf")

    @property
    def cpr(self) -> str | None:
        """Return the asserted CPR number, ten characters, or None."""
        asserted = self.attributes.get("schacPersonalUniqueID", ())
        return asserted[0].removeprefix(_CPR) if asserted else None

    @property
    def typed_number(self) -> str:
        """Return the number typed at a machine: the CPR number, or else the card number."""
        if self.cpr:
            return self.cpr
        return self.registered[0]["cardnumber"]

    @property
    def addresses(self) -> frozenset[str]:
        """Return this person's mail addresses."""
        own = {self.mailbox} if self.mailbox else set()
        return frozenset({*own, *self.attributes.get("mail", ())})


def university_attributes(
    name: str,
    full: str,
    cpr: str | None,
    affiliations: tuple[str, ...],
    *,
    mail: bool = True,
    primary: str = "",
) -> dict[str, tuple[str, ...]]:
    """Return the attributes that Aarhus University asserts of a person."""
    attributes = _attributes(
        full,
        cpr,
        f"{name}@post.au.example" if mail else "",
        eduPersonPrincipalName=f"{name}@au.dk",
        eduPersonPrimaryAffiliation=primary or affiliations[0].partition("@")[0],
        organizationName="Aarhus Universitet",
        schacHomeOrganization="au.dk",
        eduPersonAssurance="2",
        preferredLanguage="da",
    )
    return attributes | {"eduPersonScopedAffiliation": affiliations}


def eid_attributes(
    number: int,
    full: str,
    cpr: str | None,
    *,
    level: str = "Substantial",
    eppn: str = "",
    mail: bool = True,
) -> dict[str, tuple[str, ...]]:
    """Return the attributes that the national eID asserts of the person with this ``number``."""
    first = full.split(maxsplit=1)[0].lower()
    return _attributes(
        full,
        cpr,
        f"{first}{number}@post.example" if mail else "",
        eduPersonPrincipalName=eppn or f"PID:9208-2002-2-{number:012d}@sikker-adgang.dk",
        eduPersonPrimaryAffiliation="member",
        organizationName="NemLog-in",
        schacHomeOrganization="sikker-adgang.dk",
        eduPersonAssurance=level,
    )


def _attributes(full: str, cpr: str | None, mail: str, **values: str) -> dict[str, tuple[str, ...]]:
    given, _, family = full.rpartition(" ")
    named = {**values, "cn": full, "gn": given, "sn": family}
    if mail:
        named["mail"] = mail
    if cpr:
        named["schacPersonalUniqueID"] = _CPR + cpr
    return {name: (value,) for name, value in named.items()}


def staff_record(category: str, cpr: str, surname: str, **more: str) -> dict[str, str]:
    """Return a borrower as registered by staff; ``cpr`` is user name and card number.

    The health card is the library card, unless ``more`` has another card number.
    """
    return {
        "surname": surname,
        "category_id": category,
        "userid": cpr,
        "cardnumber": cpr,
        "library_id": "AUL",
        **more,
    }
