"""The invented people of the demo. They cover all branches of a login or a sign-up."""

from collections.abc import Sequence
from typing import Final

from broker.demo.koha.loans import BOOKS
from broker.demo.people.persona import (
    AU,
    KU,
    LIBRARY_ACCOUNT,
    NEMLOGIN,
    NEMLOGIN_BIRK,
    Persona,
    eid_attributes,
    staff_record,
    university_attributes,
)

__all__ = ["AU", "KU", "NEMLOGIN", "NEMLOGIN_BIRK", "PERSONAS", "Persona", "persona"]

_LOGINS: Final = (
    Persona(
        "asta",
        AU,
        ("student", "studerende"),
        university_attributes("asta", "Asta Ravn", "1403044004", ("student@au.dk",)),
        "STUDENT",
    ),
    Persona(
        "bo",
        AU,
        ("employee", "ansat"),
        university_attributes(
            "bo", "Bo Lindegaard", "2207791019", ("employee@au.dk", "staff@au.dk")
        ),
        "EMPLOYEE",
    ),
    Persona(
        "bo-nemid",
        NEMLOGIN,
        ("Bo again, with MitID", "Bo igen, med MitID"),
        eid_attributes(11, "Bo Lindegaard", "2207791019"),
        "EMPLOYEE",
    ),
    Persona(
        "cilla",
        AU,
        ("employee who also studies", "ansat, der også studerer"),
        university_attributes(
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
        ("employee at the university hospital", "ansat på universitetshospitalet"),
        university_attributes("dan", "Dan Kirkeby", "1705851219", ("employee@clin.au.dk",)),
        "HOSPITAL",
    ),
    Persona(
        "eva",
        NEMLOGIN,
        ("private adult", "privat voksen"),
        eid_attributes(1, "Eva Storgaard", "3011681300"),
        "PRIVATE",
    ),
    Persona(
        "finn",
        NEMLOGIN,
        ("fifteen years old", "femten år"),
        eid_attributes(2, "Finn Bakke", "0505115007"),
        "too_young",
    ),
    Persona(
        "gry",
        AU,
        ("student with a stand-in for a CPR number", "studerende med et erstatnings-CPR-nummer"),
        university_attributes("gry", "Gry Falk", "6703004768", ("student@au.dk",)),
        "replacement_number",
    ),
    Persona(
        "hugo",
        AU,
        ("student with a number made by the university", "studerende med universitetets nummer"),
        university_attributes("hugo", "Hugo Marsh", "120199ABC1", ("student@au.dk",)),
        "constructed_number",
    ),
    Persona(
        "ida",
        AU,
        (
            "student without mail, who proves a mailbox",
            "studerende uden mailadresse, der bekræfter en",
        ),
        university_attributes("ida", "Ida Thy", "1206034218", ("student@au.dk",), mail=False),
        "STUDENT",
        mailbox="ida@own.example",
    ),
    Persona(
        "ib",
        AU,
        ("student without a Danish number", "studerende uden CPR-nummer"),
        university_attributes("ib", "Ib Waters", None, ("student@au.dk",)),
        "cpr_required",
    ),
    Persona(
        "jens",
        AU,
        (
            "private borrower who has become a student, and says yes to the new kind of account",
            "privat låner, der er blevet studerende og siger ja til den nye slags konto",
        ),
        university_attributes("jens", "Jens Høj", "2102014459", ("student@au.dk",)),
        "STUDENT",
        (
            staff_record(
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
        (
            "student whom the desk has registered, with a PIN",
            "studerende, oprettet i skranken, med pinkode",
        ),
        university_attributes("karla", "Karla Dam", "1111024568", ("student@au.dk",)),
        "STUDENT",
        (
            staff_record(
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
        ("affiliate of the university", "tilknyttet universitetet uden at læse eller arbejde der"),
        university_attributes("lars", "Lars Vig", "0808801507", ("affiliate@au.dk",)),
        "national_eid_required",
    ),
    Persona(
        "mia",
        KU,
        ("student of another university", "studerende på et andet universitet"),
        {
            **university_attributes("mia", "Mia Lund", "1903004602", ("student@ku.dk",)),
            "eduPersonPrincipalName": ("mia@ku.dk",),
            "schacHomeOrganization": ("ku.dk",),
            "organizationName": ("Københavns Universitet",),
        },
        "no_affiliation",
    ),
    Persona(
        "nils",
        NEMLOGIN,
        (
            "private adult with a newer CPR number, without a check digit",
            "privat voksen med et nyere CPR-nummer uden kontrolciffer",
        ),
        eid_attributes(3, "Nils Eg", "0101800003"),
        "PRIVATE",
    ),
    Persona(
        "olga",
        NEMLOGIN,
        ("identity of a company", "login for en virksomhed"),
        eid_attributes(4, "Olga Firma", None, eppn="CVR:12345678-RID:87654321@sikker-adgang.dk"),
        "company_identity",
    ),
    Persona(
        "per",
        NEMLOGIN,
        ("whom the desk has registered twice", "oprettet to gange i skranken"),
        eid_attributes(5, "Per Toft", "2504941801"),
        "several_borrowers",
        (
            staff_record("PRIVATE", "2504941801", "Toft", firstname="Per", cardnumber="T-1001"),
            staff_record("PRIVATE", "per.toft", "Toft", firstname="Per", cardnumber="250494-1801"),
        ),
    ),
)

_SIGNING_UP: Final = (
    Persona(
        "sara",
        AU,
        ("student who signs up", "studerende, der opretter sig"),
        university_attributes("sara", "Sara Mose", "2209044075", ("student@au.dk",)),
        "STUDENT",
        sign_up="student",
    ),
    Persona(
        "carl",
        AU,
        (
            "employee who also studies and signs up as a student",
            "ansat, der også studerer og opretter sig som studerende",
        ),
        university_attributes(
            "carl", "Carl Nygaard", "1312924087", ("student@au.dk", "employee@au.dk")
        ),
        "STUDENT",
        sign_up="student",
    ),
    Persona(
        "poul",
        AU,
        ("employee who chooses student by mistake", "ansat, der ved en fejl vælger studerende"),
        university_attributes("poul", "Poul Ager", "0107884084", ("employee@au.dk",)),
        "EMPLOYEE",
        sign_up="student",
    ),
    Persona(
        "hanne",
        AU,
        ("doctor who signs up with mit.au.dk", "læge, der opretter sig med mit.au.dk"),
        university_attributes("hanne", "Hanne Vest", "0804701346", ("employee@clin.au.dk",)),
        "HOSPITAL",
        sign_up="hospital",
    ),
    Persona(
        "dorte",
        NEMLOGIN,
        ("nurse with a kaldemail", "sygeplejerske med kaldemail"),
        eid_attributes(21, "Dorte Holm", "1207861339"),
        "HOSPITAL",
        sign_up="hospital",
        mailbox="dorte@auh.rm.dk",
    ),
    Persona(
        "kim",
        NEMLOGIN,
        (
            "says hospital, and goes on without a kaldemail",
            "siger hospital og går videre uden kaldemail",
        ),
        eid_attributes(22, "Kim Sand", "2309901331"),
        "PRIVATE",
        sign_up="hospital",
    ),
    Persona(
        "rosa",
        NEMLOGIN,
        ("private adult who signs up", "privat voksen, der opretter sig"),
        eid_attributes(23, "Rosa Krogh", "1902681333"),
        "PRIVATE",
        sign_up="private",
    ),
)

_REGISTERED: Final = (
    Persona(
        "jytte",
        AU,
        (
            "student, already a private borrower, who declines the upgrade",
            "studerende, der er privat låner og siger nej til at blive opgraderet",
        ),
        university_attributes("jytte", "Jytte Bro", "2405014087", ("student@au.dk",)),
        "PRIVATE",
        (
            staff_record(
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
        (
            "student who claims the account from the desk, without CPR number, by a mailed code",
            "studerende med en konto fra skranken uden CPR-nummer: henter den med en kode",
        ),
        university_attributes("tove", "Tove Lind", "2810014086", ("student@au.dk",)),
        "TEMP",
        (
            staff_record(
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
        ("types CPR number and PIN", "skriver CPR-nummer og pinkode"),
        {},
        "EMPLOYEE",
        (
            staff_record(
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
        ("student in his last term", "studerende på sidste semester"),
        university_attributes("otto", "Otto Skov", "1601814087", ("student@au.dk",)),
        "STUDENT",
    ),
    Persona(
        "otto-left",
        AU,
        (
            "Otto when he has left: his account goes on as a private one",
            "Otto, når han er holdt op: hans konto bliver privat",
        ),
        university_attributes("otto", "Otto Skov", "1601814087", ("alum@au.dk",)),
        "PRIVATE",
        logs_in_after="otto",
    ),
)

_OTHER_SERVICES: Final = (
    Persona(
        "alma",
        AU,
        ("student without an account, who wants to print", "studerende uden konto, der vil printe"),
        university_attributes("alma", "Alma Kjær", "1711034087", ("student@au.dk",)),
        "no_library_account",
        service="myprint",
    ),
    Persona(
        "pia",
        AU,
        ("student with an account, who prints", "studerende med konto, der printer"),
        university_attributes("pia", "Pia Engel", "1402024085", ("student@au.dk",)),
        "STUDENT",
        (staff_record("STUDENT", "1402024085", "Engel", firstname="Pia", email="pia@own.example"),),
        service="myprint",
    ),
    Persona(
        "ivan",
        LIBRARY_ACCOUNT,
        (
            "exchange student who prints with card number and PIN before the CPR number comes",
            "udvekslingsstuderende, der printer med kortnummer og pinkode, før CPR-nummeret kommer",
        ),
        {},
        "TEMP",
        (
            staff_record(
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
        (
            "Ib again, who reads electronic journals without a Danish number",
            "Ib igen, der læser elektroniske tidsskrifter uden CPR-nummer",
        ),
        university_attributes("ib", "Ib Waters", None, ("student@au.dk",)),
        "",
        service="e-resources",
    ),
    Persona(
        "eva-reads",
        NEMLOGIN,
        (
            "Eva again: the journals are not for private users",
            "Eva igen: tidsskrifterne er ikke for private brugere",
        ),
        eid_attributes(1, "Eva Storgaard", "3011681300"),
        "no_policy_for_service",
        service="e-resources",
    ),
)

PERSONAS: Final = (*_LOGINS, *_SIGNING_UP, *_REGISTERED, *_OTHER_SERVICES)


def persona(name: str, people: Sequence[Persona] = PERSONAS) -> Persona:
    """Return the persona of this name. Raises KeyError if there is none."""
    return {person.name: person for person in people}[name]
