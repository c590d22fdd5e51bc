"""The checks of a Response, each beside a message that it alone refuses, and its last second."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from saml2 import samlp

from broker.adapters.saml.sp.received_response import ReceivedResponse
from broker.adapters.saml.sp.response_checks import RESPONSE_CHECKS
from broker.adapters.saml.xml_security import message_reading
from broker.adapters.saml.xml_security.xml_names import ASSERTION, ENCRYPTED_ASSERTION
from broker.core.errors import MessageRefused
from broker.core.login.transaction import Authentication, Outstanding
from tests.attacks.messages.hostile_responses import CODE
from tests.plugins.saml_parties import BASE, DIRECT, NOW, Change, Parties, add, drop, edit, say, stamp

STATUS: Final = "urn:oasis:names:tc:SAML:2.0:status:"
RESPONDER: Final = f"{STATUS}Responder"
ENTITY_FORMAT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
REFUSAL: Final = edit(CODE, Value=RESPONDER)
NO_ASSERTION: Final = drop("saml:Assertion")
ENCRYPTED: Final = add(".", "<saml:EncryptedAssertion/>")


@dataclass(frozen=True)
class Message:
    """A Response, true but for the changes, and what it is held against."""

    changes: tuple[Change, ...] = ()
    upstream: str = "wayf"
    more: dict[str, Any] = field(default_factory=dict)

    def make_received(self, parties: Parties, now: datetime = NOW) -> ReceivedResponse:
        """Give the Response as the checks read it, unsigned."""
        root = parties.response(*self.changes, upstream=self.upstream)
        return ReceivedResponse(
            message=message_reading.read_unsigned(samlp.Response, root),
            address=parties.acs(self.upstream),
            signed=False,
            now=now,
            upstream=parties.upstreams[self.upstream],
            expected=self.more.get("expected", Outstanding("_q1", self.upstream, NOW)),
            has_plain_assertion=root.find(ASSERTION) is not None,
            has_encrypted_assertion=root.find(ENCRYPTED_ASSERTION) is not None,
        )


def offending(received: ReceivedResponse) -> list[str]:
    """Give the names of the checks that refuse the Response, in their order."""
    return [name for name, offends in RESPONSE_CHECKS.items() if offends(received)]


ALSO_REFUSED: Final[dict[str, tuple[str, Message]]] = {
    "another upstream at the same hub": (
        "other_upstream",
        Message((), "nemid", {"expected": Outstanding("_q1", "wayf", NOW)}),
    ),
    "an encrypted assertion beside a refusal": ("assertion_of_refusal", Message((REFUSAL, NO_ASSERTION, ENCRYPTED))),
    "success below a refusal": (
        "assertion_of_refusal",
        Message((REFUSAL, add(CODE, f'<samlp:StatusCode Value="{STATUS}Success"/>'))),
    ),
    "an issuer that is one of its institutions": ("issuer", Message((say("saml:Issuer", DIRECT),))),
    "the address of another broker": (
        "destination",
        Message((edit(".", Destination="https://elsewhere.example/saml/sp/wayf/acs"),)),
    ),
    "the address without its path": ("destination", Message((edit(".", Destination=BASE),))),
}


@pytest.mark.parametrize("case", ALSO_REFUSED)
def test_the_other_halves_of_a_check_refuse_too(parties: Parties, case: str) -> None:
    """Where a check looks at several things, each of them is refused, and no other check would have seen it."""
    name, message = ALSO_REFUSED[case]
    assert offending(message.make_received(parties)) == [name]


ALLOWED: Final[dict[str, Message]] = {
    "WAYF's, with a plain assertion": Message(),
    "another upstream's": Message((), "kb"),
    "NemLog-in's, with an encrypted assertion": Message((NO_ASSERTION, ENCRYPTED), "eid"),
    "WAYF's, with an encrypted assertion": Message((NO_ASSERTION, ENCRYPTED)),
    "a refusal without an assertion": Message((REFUSAL, NO_ASSERTION)),
    "a success with a detail": Message((add(CODE, f'<samlp:StatusCode Value="{RESPONDER}"/>'),)),
    "an issuer of the entity format": Message((edit("saml:Issuer", Format=ENTITY_FORMAT),)),
    "no issuer, which the signature names": Message((drop("saml:Issuer"),)),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_permitted_variants_pass_every_check(parties: Parties, case: str) -> None:
    """A true Response, and one changed in a way that upstreams may."""
    assert offending(ALLOWED[case].make_received(parties)) == []


@pytest.mark.parametrize("seconds", [-299, -300, -301])
def test_a_request_of_before_is_a_bound_of_its_own(parties: Parties, seconds: int) -> None:
    """An answer to NemLog-in's request may not be older than the request by more than the skew, to the second."""
    issued = edit(".", IssueInstant=stamp(NOW + timedelta(seconds=seconds)))
    message = Message((issued, NO_ASSERTION, ENCRYPTED), "eid")
    before = message.make_received(parties, NOW - timedelta(seconds=100))
    assert (offending(before) == []) == (seconds >= -300)


def test_only_a_signed_response_must_name_its_address(parties: Parties) -> None:
    """Where the Assertion is signed, its Recipient says for whom; under a signature the Destination must stand."""
    bare = edit(".", Destination=None)
    assert isinstance(parties.receive(parties.sign_response(parties.response(bare))).answer, Authentication)
    for both in (False, True):
        signed = parties.sign_response(parties.response(bare), whole=True, both=both)
        with pytest.raises(MessageRefused, match=r"response\.destination"):
            parties.receive(signed)
