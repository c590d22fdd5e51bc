"""Invented people whom the demo has no need of: each is one condition of a requirement."""

from broker.demo.people.persona import AU, NEMLOGIN, Persona, eid_attributes, university_attributes
from broker.demo.people.personas import persona
from tests.walks.requirements.visits import CPR, URN


def elsewhere(who: Persona, affiliation: str, eppn: str) -> Persona:
    """Return a persona of the national eID as the university knows them."""
    number = who.attributes[CPR][0].removeprefix(URN)
    full = who.attributes["cn"][0]
    return Persona(f"{who.name}-au", AU, ("", ""), university_attributes(eppn, full, number, (affiliation,)), "")


ASTA, BO, BO_NEMID, DAN, DORTE, EVA = (persona(each) for each in ("asta", "bo", "bo-nemid", "dan", "dorte", "eva"))
EMPLOYEE_WITHOUT = Persona(
    "xenia",
    AU,
    ("employee without a number", "ansat uden nummer"),
    university_attributes("xenia", "Xenia Wells", None, ("employee@au.dk",)),
    "",
)
HOSPITAL_WITHOUT = Persona(
    "yan",
    AU,
    ("hospital employee without a number", "hospitalsansat uden nummer"),
    university_attributes("yan", "Yan Li", None, ("employee@clin.au.dk",)),
    "",
)
PRIVATE_WITHOUT = Persona("zoe", NEMLOGIN, ("", ""), eid_attributes(71, "Zoe Moss", None), "")
