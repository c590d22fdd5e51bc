"""One invented person of the demo: how they log in, what is asserted of them, and what the desk already knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

AU: Final = "https://idp.au.example"
KU: Final = "https://idp.ku.example"
NEMLOGIN: Final = "https://nemlogin.wayf.dk"
DESK: Final = "desk"  # no institution: the library system alone knows the person
NEMLOGIN_BIRK: Final = "https://birk.wayf.dk/birk.php/nemlogin.wayf.dk"

_CPR: Final = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"


@dataclass(frozen=True, slots=True)
class Persona:
    """One invented person: how they log in, what is asserted, and what must come of it.

    ``expect`` is a reason where they are refused, a category where they end with an account, ""
    where with none.
    """

    name: str
    institution: str
    story: str
    attributes: Mapping[str, tuple[str, ...]]
    expect: str
    desk: tuple[Mapping[str, str], ...] = field(default=())  # borrowers there already
    service: str = "my-loans"
    sign_up: str | None = None  # whom they say they are on the sign-up pages, if they come by them
    mailbox: str | None = None  # an address that they can show to be theirs when asked
    upgrade: bool | None = (
        None  # their answer to another category, where one is offered the first time
    )
    temporary: bool = False  # they prove the temporary borrower of the desk to be theirs
    pin: str | None = None  # of the borrower that the desk registered
    loans: tuple[str, ...] = ()  # lent by the desk
    after: str | None = None  # the persona who must have been here before

    @property
    def way(self) -> str:
        """Give the upstream they log in by."""
        return {NEMLOGIN: "nemid", DESK: "library"}.get(self.institution, "wayf")

    @property
    def plain(self) -> bool:
        """Say whether they log in at My loans by an assertion, and are asked for nothing but their consent."""
        return self.service == "my-loans" and self.way != "library" and not self._more

    @property
    def _more(self) -> bool:
        return bool(
            self.sign_up or self.after or self.mailbox or self.temporary or self.upgrade is not None
        )


def by_university(
    name: str,
    full: str,
    cpr: str | None,
    affiliations: tuple[str, ...],
    *,
    mail: bool = True,
    primary: str = "",
) -> dict[str, tuple[str, ...]]:
    """Give what Aarhus University asserts of somebody."""
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
    """Give what the national eID asserts of somebody; ``number`` tells them apart."""
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
        attributes["mail"] = (f"{given.split()[0].lower()}{number}@post.example",)
    if cpr:
        attributes["schacPersonalUniqueID"] = (_CPR + cpr,)
    return attributes


def at_desk(category: str, cpr: str, surname: str, **more: str) -> dict[str, str]:
    """Give a borrower as the desk has registered them; ``cpr`` is the user name."""
    return {"surname": surname, "category_id": category, "userid": cpr, "library_id": "AUL", **more}
