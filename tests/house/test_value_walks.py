"""The way of a CPR number, a Response and a PIN through the house: few rooms, and no going to and fro.

``make walks`` prints the three ways, room by room.
"""

import base64
import sys

from broker.adapters.saml.faces.received_response import ReceivedResponse
from broker.adapters.saml.gate.xml_structure_checks import MessageTree
from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.login.transaction import Authentication
from broker.demo.people.personas import persona
from tests.plugins.house import House, form, found
from tests.plugins.value_walk import Carries, ValueWalk, walking

# Three rooms store the upstream's answer and hold the transaction, two hold what a request makes of them,
# three read the number, two find its person and four the borrower.
MOST_ROOMS = 15
# Where a decision is made and written down: by the kind of a number, never by the number.
WITHOUT_NUMBER = ("core.policy", "core.login.login_decision", "core.audit_events")

# What a Response becomes until it is decided over.
READINGS = (MessageTree, ReceivedResponse, Authentication, AttributeReading, Attributes)


def holding(text: str) -> Carries:
    """Recognise a text in any spelling of the wire, such as a CPR number in its URN."""
    return lambda value: isinstance(value, str) and len(value) < 200 and text in value


def shown(title: str, walk: ValueWalk) -> None:
    """Write the way, for a run with ``-s``."""
    rooms = "\n  ".join(walk.rooms)
    sys.stdout.write(f"\n{title}: {len(walk.distinct)} rooms, {len(walk.rooms)} moves\n  {rooms}\n")


def test_a_cpr_number_goes_straight_to_the_library_system(house: House) -> None:
    """From the ACS to the library system it passes few rooms, none twice on the first half, none that decides."""
    person = house.person()
    acs, fields = house.answer(person.choose(person.ask()), "asta")
    number = persona("asta").attributes["schacPersonalUniqueID"][0][-10:]
    with walking(holding(number), end=("adapters.libraries.koha", "find")) as walk:
        person.get(person.deliver(acs, fields).location)
    shown("A CPR number, from the ACS to the library system", walk)
    assert walk.over
    assert len(walk.distinct) <= MOST_ROOMS
    assert walk.returns == []
    assert not [room for room in walk.rooms if room.startswith(WITHOUT_NUMBER)]


def test_a_response_goes_straight_to_the_decision(house: House) -> None:
    """From the ACS to the policy engine it passes 20 rooms at most, none twice on the first half."""
    person = house.person()
    acs, fields = house.answer(person.choose(person.ask()), "asta")
    octets = base64.b64decode(fields["SAMLResponse"])
    texts = (fields["SAMLResponse"], octets)

    def carries(value: object) -> bool:
        return isinstance(value, READINGS) or (isinstance(value, str | bytes) and value in texts)

    with walking(carries, end=("core.policy.decision", "evaluate")) as walk:
        person.get(person.deliver(acs, fields).location)
    shown("A Response, from the ACS to the decision", walk)
    assert walk.over
    assert len(walk.distinct) <= 20
    assert walk.returns == []


def test_a_pin_goes_straight_to_the_library_system(house: House) -> None:
    """From its form to the library system it passes 15 rooms at most, none twice on the first half."""
    person = house.terminal()
    action, fields = form(person.ask())
    page = person.get(found(person.post(action, {**fields, "upstream": "library"}), "//main//a/@href"))
    with walking(holding("4071"), end=("adapters.libraries.koha", "check_pin")) as walk:
        person.press(page, do="login", identifier="1111024568", pin="4071")
    shown("A PIN, from its form to the library system", walk)
    assert walk.over
    assert len(walk.distinct) <= 15
    assert walk.returns == []
