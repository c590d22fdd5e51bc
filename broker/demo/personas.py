"""The invented people of the demo: what their institution says of them, and what the library's desk already knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

AU: Final = "https://idp.au.example"
KU: Final = "https://idp.ku.example"
NEMLOGIN: Final = "https://nemlogin.wayf.dk"
NEMLOGIN_BIRK: Final = "https://birk.wayf.dk/birk.php/nemlogin.wayf.dk"

_CPR: Final = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"


@dataclass(frozen=True, slots=True)
class Persona:
    """One invented person: how they log in, what is asserted, what must come of it (a reason, or a category)."""

    name: str
    institution: str
    story: str
    attributes: Mapping[str, tuple[str, ...]]
    expect: str
    desk: tuple[Mapping[str, str], ...] = field(default=())  # borrowers there already


def _au(
    name: str, full: str, cpr: str | None, affiliations: tuple[str, ...], *, mail: bool = True, primary: str = ""
) -> dict[str, tuple[str, ...]]:
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


def _eid(
    number: int, full: str, cpr: str | None, *, level: str = "Substantial", eppn: str = "", mail: bool = True
) -> dict[str, tuple[str, ...]]:
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


def _desk(category: str, cpr: str, surname: str, **more: str) -> dict[str, str]:
    return {"surname": surname, "category_id": category, "userid": cpr, "library_id": "AUL", **more}


PERSONAS: Final = (
    Persona("asta", AU, "student", _au("asta", "Asta Ravn", "1403044004", ("student@au.dk",)), "STUDENT"),
    Persona(
        "bo", AU, "employee", _au("bo", "Bo Lindegaard", "2207791019", ("employee@au.dk", "staff@au.dk")), "EMPLOYEE"
    ),
    Persona("bo-nemid", NEMLOGIN, "Bo again, with NemID", _eid(11, "Bo Lindegaard", "2207791019"), "EMPLOYEE"),
    Persona(
        "cilla",
        AU,
        "employee who also studies",
        _au("cilla", "Cilla Overgaard", "0909984068", ("student@au.dk", "employee@au.dk"), primary="student"),
        "EMPLOYEE",
    ),
    Persona(
        "dan",
        AU,
        "employee at the university hospital",
        _au("dan", "Dan Kirkeby", "1705851219", ("employee@clin.au.dk",)),
        "HOSPITAL",
    ),
    Persona("eva", NEMLOGIN, "private adult", _eid(1, "Eva Storgaard", "3011681300"), "PRIVATE"),
    Persona("finn", NEMLOGIN, "fifteen years old", _eid(2, "Finn Bakke", "0505115007"), "too_young"),
    Persona(
        "gry",
        AU,
        "student with a replacement number",
        _au("gry", "Gry Falk", "6703004768", ("student@au.dk",)),
        "replacement_number",
    ),
    Persona(
        "hugo",
        AU,
        "student with a constructed number",
        _au("hugo", "Hugo Marsh", "120199ABC1", ("student@au.dk",)),
        "constructed_number",
    ),
    Persona(
        "ida",
        AU,
        "student without mail",
        _au("ida", "Ida Thy", "1206034218", ("student@au.dk",), mail=False),
        "mail_required",
    ),
    Persona(
        "ib", AU, "student without a Danish number", _au("ib", "Ib Waters", None, ("student@au.dk",)), "cpr_required"
    ),
    Persona(
        "jens",
        AU,
        "student, already a private borrower",
        _au("jens", "Jens Høj", "2102014459", ("student@au.dk",)),
        "STUDENT",
        (_desk("PRIVATE", "2102014459", "Høj", cardnumber="2102014459", email="jens@own.example"),),
    ),
    Persona(
        "karla",
        AU,
        "student, registered by the desk with a hyphen and a working PIN",
        _au("karla", "Karla Dam", "1111024568", ("student@au.dk",)),
        "STUDENT",
        (_desk("STUDENT", "karla.dam", "Dam", cardnumber="111102-4568", password="4071", expiry_date="2028-01-31"),),
    ),
    Persona(
        "lars",
        AU,
        "affiliate of the university",
        _au("lars", "Lars Vig", "0808801507", ("affiliate@au.dk",)),
        "no_affiliation",
    ),
    Persona(
        "mia",
        KU,
        "student of another university",
        {
            **_au("mia", "Mia Lund", "1903004602", ("student@ku.dk",)),
            "eduPersonPrincipalName": ("mia@ku.dk",),
            "schacHomeOrganization": ("ku.dk",),
            "organizationName": ("Københavns Universitet",),
        },
        "no_affiliation",
    ),
    Persona(
        "nils", NEMLOGIN, "private adult whose number fails modulus 11", _eid(3, "Nils Eg", "0101800003"), "PRIVATE"
    ),
    Persona(
        "olga",
        NEMLOGIN,
        "identity of a company",
        _eid(4, "Olga Firma", None, eppn="CVR:12345678-RID:87654321@sikker-adgang.dk"),
        "company_identity",
    ),
    Persona(
        "per",
        NEMLOGIN,
        "whom the desk has registered twice",
        _eid(5, "Per Toft", "2504941801"),
        "two_borrowers",
        (
            _desk("PRIVATE", "2504941801", "Toft", cardnumber="T-1001"),
            _desk("PRIVATE", "per.toft", "Toft", cardnumber="250494-1801"),
        ),
    ),
)


def persona(name: str) -> Persona:
    """Give the persona of this name; KeyError if there is none."""
    return {each.name: each for each in PERSONAS}[name]
