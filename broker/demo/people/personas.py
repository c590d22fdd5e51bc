"""The invented people of the demo: every one of them takes another branch of a login or sign-up."""

from collections.abc import Sequence
from typing import Final

from broker.demo.circulation.loan_table import BOOKS
from broker.demo.people.persona import (
    AU,
    KU,
    LIBRARY_ACCOUNT,
    NEMLOGIN,
    NEMLOGIN_BIRK,
    Persona,
    by_eid,
    by_university,
    registered_borrower,
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
            registered_borrower(
                "PRIVATE",
                "2102014459",
                "Høj",
                firstname="Jens",
                cardnumber="2102014459",
                email="jens@post.au.example",
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
            registered_borrower(
                "STUDENT",
                "karla.dam",
                "Dam",
                firstname="Karla",
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
        "several_borrowers",
        (
            registered_borrower("PRIVATE", "2504941801", "Toft", cardnumber="T-1001"),
            registered_borrower("PRIVATE", "per.toft", "Toft", cardnumber="250494-1801"),
        ),
    ),
)

_SIGNING_UP: Final = (
    Persona(
        "sara",
        AU,
        "student who signs up",
        by_university("sara", "Sara Mose", "2209044075", ("student@au.dk",)),
        "STUDENT",
        sign_up="student",
    ),
    Persona(
        "carl",
        AU,
        "employee who also studies and signs up as a student",
        by_university("carl", "Carl Nygaard", "1312924087", ("student@au.dk", "employee@au.dk")),
        "STUDENT",
        sign_up="student",
    ),
    Persona(
        "poul",
        AU,
        "employee who says student: the university decides",
        by_university("poul", "Poul Ager", "0107884084", ("employee@au.dk",)),
        "EMPLOYEE",
        sign_up="student",
    ),
    Persona(
        "hanne",
        AU,
        "doctor who signs up with mit.au.dk",
        by_university("hanne", "Hanne Vest", "0804701346", ("employee@clin.au.dk",)),
        "HOSPITAL",
        sign_up="hospital",
    ),
    Persona(
        "dorte",
        NEMLOGIN,
        "nurse with a kaldemail",
        by_eid(21, "Dorte Holm", "1207861339"),
        "HOSPITAL",
        sign_up="hospital",
        mailbox="dorte@auh.rm.dk",
    ),
    Persona(
        "kim",
        NEMLOGIN,
        "says hospital, and goes on without a kaldemail",
        by_eid(22, "Kim Sand", "2309901331"),
        "PRIVATE",
        sign_up="hospital",
    ),
    Persona(
        "rosa",
        NEMLOGIN,
        "private adult who signs up",
        by_eid(23, "Rosa Krogh", "1902681333"),
        "PRIVATE",
        sign_up="private",
    ),
)

_REGISTERED: Final = (
    Persona(
        "jytte",
        AU,
        "student, already a private borrower, who declines the upgrade",
        by_university("jytte", "Jytte Bro", "2405014087", ("student@au.dk",)),
        "PRIVATE",
        (
            registered_borrower(
                "PRIVATE",
                "2405014087",
                "Bro",
                firstname="Jytte",
                cardnumber="2405014087",
                email="jytte@post.au.example",
            ),
        ),
        upgrade=False,
    ),
    Persona(
        "tove",
        AU,
        "student who claims the account from the desk, without CPR number, by a mailed code",
        by_university("tove", "Tove Lind", "2810014086", ("student@au.dk",)),
        "TEMP",
        (
            registered_borrower(
                "TEMP",
                "temp.tove",
                "Lind",
                firstname="Tove",
                cardnumber="T-2001",
                date_of_birth="2001-10-28",
                password="4071",
                email="tove@own.example",
            ),
        ),
        claims=True,
        pin="4071",
        loans=BOOKS[:2],
    ),
    Persona(
        "vera",
        LIBRARY_ACCOUNT,
        "types CPR number and PIN",
        {},
        "EMPLOYEE",
        (
            registered_borrower(
                "EMPLOYEE",
                "0303651330",
                "Friis",
                firstname="Vera",
                password="8362",
                email="vera@own.example",
            ),
        ),
        pin="8362",
        loans=BOOKS[2:],
    ),
    Persona(
        "otto",
        AU,
        "student in his last term",
        by_university("otto", "Otto Skov", "1601814087", ("student@au.dk",)),
        "STUDENT",
    ),
    Persona(
        "otto-left",
        AU,
        "Otto when he has left: the university says so, and his account goes on as a private one",
        by_university("otto", "Otto Skov", "1601814087", ("alum@au.dk",)),
        "PRIVATE",
        after="otto",
    ),
)

_OTHER_SERVICES: Final = (
    Persona(
        "alma",
        AU,
        "student without an account, who wants to print",
        by_university("alma", "Alma Kjær", "1711034087", ("student@au.dk",)),
        "no_library_account",
        service="myprint",
    ),
    Persona(
        "pia",
        AU,
        "student with an account, who prints",
        by_university("pia", "Pia Engel", "1402024085", ("student@au.dk",)),
        "STUDENT",
        (
            registered_borrower(
                "STUDENT", "1402024085", "Engel", firstname="Pia", email="pia@own.example"
            ),
        ),
        service="myprint",
    ),
    Persona(
        "ivan",
        LIBRARY_ACCOUNT,
        "exchange student who prints with card number and PIN before the CPR number comes",
        {},
        "TEMP",
        (
            registered_borrower(
                "TEMP",
                "temp.ivan",
                "Petrov",
                cardnumber="T-2002",
                password="6193",
                email="ivan@own.example",
            ),
        ),
        service="myprint",
        pin="6193",
    ),
    Persona(
        "ib-reads",
        AU,
        "Ib again, who reads electronic journals without a Danish number",
        by_university("ib", "Ib Waters", None, ("student@au.dk",)),
        "",
        service="e-resources",
    ),
    Persona(
        "eva-reads",
        NEMLOGIN,
        "Eva again: the journals are not for private users",
        by_eid(1, "Eva Storgaard", "3011681300"),
        "no_policy_for_service",
        service="e-resources",
    ),
)

PERSONAS: Final = (*_LOGINS, *_SIGNING_UP, *_REGISTERED, *_OTHER_SERVICES)


def persona(name: str, people: Sequence[Persona] = PERSONAS) -> Persona:
    """Return the persona of this name; KeyError if there is none."""
    return {person.name: person for person in people}[name]
