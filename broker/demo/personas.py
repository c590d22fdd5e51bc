"""The invented people of the demo, each of them one branch of what may become of a login or a sign-up."""

from typing import Final

from broker.demo.circulation import BOOKS
from broker.demo.newcomers import NEWCOMERS
from broker.demo.person import (
    AU,
    KU,
    NEMLOGIN,
    NEMLOGIN_BIRK,
    Persona,
    at_desk,
    by_eid,
    by_university,
)

__all__ = ["AU", "KU", "NEMLOGIN", "NEMLOGIN_BIRK", "PERSONAS", "Persona", "persona"]

_LOGINS: Final = (
    Persona(
        "asta",
        AU,
        "student",
        by_university("asta", "Asta Ravn", "1403044004", ("student@au.dk",)),
        "STUDENT",
    ),
    Persona(
        "bo",
        AU,
        "employee",
        by_university("bo", "Bo Lindegaard", "2207791019", ("employee@au.dk", "staff@au.dk")),
        "EMPLOYEE",
    ),
    Persona(
        "bo-nemid",
        NEMLOGIN,
        "Bo again, with NemID",
        by_eid(11, "Bo Lindegaard", "2207791019"),
        "EMPLOYEE",
    ),
    Persona(
        "cilla",
        AU,
        "employee who also studies",
        by_university(
            "cilla",
            "Cilla Overgaard",
            "0909984068",
            ("student@au.dk", "employee@au.dk"),
            primary="student",
        ),
        "EMPLOYEE",
    ),
    Persona(
        "dan",
        AU,
        "employee at the university hospital",
        by_university("dan", "Dan Kirkeby", "1705851219", ("employee@clin.au.dk",)),
        "HOSPITAL",
    ),
    Persona("eva", NEMLOGIN, "private adult", by_eid(1, "Eva Storgaard", "3011681300"), "PRIVATE"),
    Persona(
        "finn", NEMLOGIN, "fifteen years old", by_eid(2, "Finn Bakke", "0505115007"), "too_young"
    ),
    Persona(
        "gry",
        AU,
        "student with a replacement number",
        by_university("gry", "Gry Falk", "6703004768", ("student@au.dk",)),
        "replacement_number",
    ),
    Persona(
        "hugo",
        AU,
        "student with a constructed number",
        by_university("hugo", "Hugo Marsh", "120199ABC1", ("student@au.dk",)),
        "constructed_number",
    ),
    Persona(
        "ida",
        AU,
        "student without mail, who proves a mailbox",
        by_university("ida", "Ida Thy", "1206034218", ("student@au.dk",), mail=False),
        "STUDENT",
        mailbox="ida@own.example",
    ),
    Persona(
        "ib",
        AU,
        "student without a Danish number",
        by_university("ib", "Ib Waters", None, ("student@au.dk",)),
        "cpr_required",
    ),
    Persona(
        "jens",
        AU,
        "student, already a private borrower, who takes the upgrade",
        by_university("jens", "Jens Høj", "2102014459", ("student@au.dk",)),
        "STUDENT",
        (
            at_desk(
                "PRIVATE",
                "2102014459",
                "Høj",
                cardnumber="2102014459",
                email="jens@own.example",
                password="7318",
            ),
        ),
        upgrade=True,
        pin="7318",
        loans=BOOKS[:1],
    ),
    Persona(
        "karla",
        AU,
        "student, registered by the desk with a hyphen and a working PIN",
        by_university("karla", "Karla Dam", "1111024568", ("student@au.dk",)),
        "STUDENT",
        (
            at_desk(
                "STUDENT",
                "karla.dam",
                "Dam",
                cardnumber="111102-4568",
                password="4071",
                expiry_date="2028-01-31",
            ),
        ),
    ),
    Persona(
        "lars",
        AU,
        "affiliate of the university",
        by_university("lars", "Lars Vig", "0808801507", ("affiliate@au.dk",)),
        "national_eid_required",
    ),
    Persona(
        "mia",
        KU,
        "student of another university",
        {
            **by_university("mia", "Mia Lund", "1903004602", ("student@ku.dk",)),
            "eduPersonPrincipalName": ("mia@ku.dk",),
            "schacHomeOrganization": ("ku.dk",),
            "organizationName": ("Københavns Universitet",),
        },
        "no_affiliation",
    ),
    Persona(
        "nils",
        NEMLOGIN,
        "private adult whose number fails modulus 11",
        by_eid(3, "Nils Eg", "0101800003"),
        "PRIVATE",
    ),
    Persona(
        "olga",
        NEMLOGIN,
        "identity of a company",
        by_eid(4, "Olga Firma", None, eppn="CVR:12345678-RID:87654321@sikker-adgang.dk"),
        "company_identity",
    ),
    Persona(
        "per",
        NEMLOGIN,
        "whom the desk has registered twice",
        by_eid(5, "Per Toft", "2504941801"),
        "two_borrowers",
        (
            at_desk("PRIVATE", "2504941801", "Toft", cardnumber="T-1001"),
            at_desk("PRIVATE", "per.toft", "Toft", cardnumber="250494-1801"),
        ),
    ),
)


PERSONAS: Final = (*_LOGINS, *NEWCOMERS)


def persona(name: str) -> Persona:
    """Give the persona of this name; KeyError if there is none."""
    return {each.name: each for each in PERSONAS}[name]
