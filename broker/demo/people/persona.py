"""An invented person of the demo, and the attributes that identity providers assert of them."""

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
    """An invented person: how they log in, what is asserted, and the outcome to expect.

    ``expect`` is the reason of their refusal, the category of the account they end with, or "" for
    no account.
    """

    name: str
    institution: str
    story: str
    attributes: Mapping[str, tuple[str, ...]]
    expect: str
    registered: tuple[Mapping[str, str], ...] = ()  # their borrowers, made by staff
    service: str = "my-loans"
    sign_up: str | None = None  # the affiliation they choose on the sign-up pages
    mailbox: str | None = None  # an address that they can show to be theirs when asked
    claims: bool = False  # whether they show that the registered borrower is theirs
    upgrade: bool | None = None  # their answer, when another category is first offered
    pin: str | None = None  # of the registered borrower
    loans: tuple[str, ...] = ()  # of the registered borrower
    after: str | None = None  # the persona who must have been here before

    @property
    def way(self) -> str:
        """Return the upstream they log in by."""
        return {NEMLOGIN: "nemid", LIBRARY_ACCOUNT: "library"}.get(self.institution, "wayf")

    @property
    def cpr(self) -> str | None:
        """Return the CPR number that is asserted of them, ten characters, or None."""
        asserted = self.attributes.get("schacPersonalUniqueID", ())
        return asserted[0].removeprefix(_CPR) if asserted else None

    @property
    def types(self) -> str:
        """Return the number they type at a machine: their CPR number, or else their card number."""
        if self.cpr:
            return self.cpr
        return self.registered[0]["cardnumber"]

    @property
    def addresses(self) -> frozenset[str]:
        """Return the addresses at which they get mail."""
        own = {self.mailbox} if self.mailbox else set()
        return frozenset({*own, *self.attributes.get("mail", ())})

    @property
    def plain(self) -> bool:
        """Return whether they log in at My loans by assertion, and are asked for consent only."""
        if self.service != "my-loans" or self.way == "library":
            return False
        more_pages = (self.sign_up, self.after, self.mailbox, self.claims)
        return self.upgrade is None and not any(more_pages)


def by_university(
    name: str,
    full: str,
    cpr: str | None,
    affiliations: tuple[str, ...],
    *,
    mail: bool = True,
    primary: str = "",
) -> dict[str, tuple[str, ...]]:
    """Return the attributes that Aarhus University asserts of a person."""
    given, _, family = full.rpartition(" ")
    attributes: dict[str, tuple[str, ...]] = {
        "eduPersonPrincipalName": (f"{name}@au.dk",),
        "cn": (full,),
        "gn": (given,),
        "sn": (family,),
        "eduPersonPrimaryAffiliation": (primary or affiliations[0].partition("@")[0],),
        "eduPersonScopedAffiliation": affiliations,
        "organizationName": ("Aarhus Universitet",),
        "schacHomeOrganization": ("au.dk",),
        "eduPersonAssurance": ("2",),
        "preferredLanguage": ("da",),
    }
    if mail:
        attributes["mail"] = (f"{name}@post.au.example",)
    if cpr:
        attributes["schacPersonalUniqueID"] = (_CPR + cpr,)
    return attributes


def by_eid(
    number: int,
    full: str,
    cpr: str | None,
    *,
    level: str = "Substantial",
    eppn: str = "",
    mail: bool = True,
) -> dict[str, tuple[str, ...]]:
    """Return the attributes that the national eID asserts of the person with this ``number``."""
    given, _, family = full.rpartition(" ")
    attributes: dict[str, tuple[str, ...]] = {
        "eduPersonPrincipalName": (eppn or f"PID:9208-2002-2-{number:012d}@sikker-adgang.dk",),
        "cn": (full,),
        "gn": (given,),
        "sn": (family,),
        "eduPersonPrimaryAffiliation": ("member",),
        "organizationName": ("NemLog-in",),
        "schacHomeOrganization": ("sikker-adgang.dk",),
        "eduPersonAssurance": (level,),
    }
    if mail:
        first = given.split()[0].lower()
        attributes["mail"] = (f"{first}{number}@post.example",)
    if cpr:
        attributes["schacPersonalUniqueID"] = (_CPR + cpr,)
    return attributes


def registered_borrower(category: str, cpr: str, surname: str, **more: str) -> dict[str, str]:
    """Return a borrower as staff have registered them; ``cpr`` is user name and card number.

    The health card is the library card, where ``more`` names no other.
    """
    return {
        "surname": surname,
        "category_id": category,
        "userid": cpr,
        "cardnumber": cpr,
        "library_id": "AUL",
        **more,
    }
