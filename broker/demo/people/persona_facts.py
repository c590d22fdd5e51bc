"""The facts of a persona's login, as ``broker policy try`` plays it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from broker.core.identity import cpr
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.given_facts import GivenFacts
from broker.core.login.site import CATEGORY
from broker.core.login.transaction import LoginPurpose
from broker.demo.people.persona import Persona
from broker.demo.people.personas import persona

_NUMBER = "schacPersonalUniqueID"
# Of a borrower as staff have registered it, what is no field that a policy writes.
_NO_FIELDS = frozenset(
    {"category_id", "userid", "cardnumber", "library_id", "password", "expiry_date"}
)


def persona_facts(person: Persona, today: date) -> GivenFacts:
    """Return the facts of the login of ``person``, their CPR number as its kind."""
    attributes = {name: of for name, of in person.attributes.items() if name != _NUMBER}
    borrower = _borrower(person)
    facts = GivenFacts(
        upstream=person.upstream,
        attributes=attributes,
        intent=person.sign_up,
        purpose=LoginPurpose.SIGN_UP if person.sign_up else LoginPurpose.LOGIN,
        borrower=borrower,
        upgrade=person.upgrade is not False,
        whole=True,
    )
    if person.mailbox:
        facts = replace(facts, addresses={"kaldemail": person.mailbox, "mail": person.mailbox})
    if borrower and not attributes:
        return replace(facts, attributes={CATEGORY: (borrower.category,)})
    number = person.cpr
    if number is None:
        return replace(facts, cpr="none")
    kind = cpr.classify(number, today)
    return replace(facts, cpr=kind.value, age=cpr.compute_age(number, today))


def _borrower(person: Persona) -> DescribedBorrower | None:
    if person.logs_in_after:
        return DescribedBorrower(persona(person.logs_in_after).expect)
    if not person.registered:
        return None
    registered = person.registered[0]
    if person.cpr and not any(_has_number(each, person.cpr) for each in person.registered):
        return None  # the CPR number does not find it
    expires = registered.get("expiry_date")
    return DescribedBorrower(
        category=registered["category_id"],
        has_duplicate=len(person.registered) > 1,
        expires=date.fromisoformat(expires) if expires else None,
        fields={name: value for name, value in registered.items() if name not in _NO_FIELDS},
    )


def _has_number(registered: Mapping[str, str], number: str) -> bool:
    """Return whether a registered borrower has the CPR number as user name or card number."""
    return number in {
        registered.get(name, "").replace("-", "") for name in ("userid", "cardnumber")
    }
