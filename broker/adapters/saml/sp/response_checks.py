"""The checks of an upstream's Response after XML security: a function for every check.

Sources: saml-core 3.2, saml-profiles 4.1.4, docs/reference/attacks.md#15 to #19,
docs/reference/saml-profiles.md#17 and #18.
"""

from collections.abc import Callable
from typing import Final

from broker.adapters.saml.messages import refusal_details
from broker.adapters.saml.messages.message_values import lacks_zone
from broker.adapters.saml.sp.received_response import ReceivedResponse, foreign
from broker.core.errors import MessageRefused


def _other_upstream(received: ReceivedResponse) -> bool:
    """Refuse an answer at the ACS of another upstream than the one that was asked.

    Source: docs/reference/attacks.md#18.
    """
    return received.expected.upstream != received.upstream.name


def _zone(received: ReceivedResponse) -> bool:
    """Refuse a time without Z."""
    return lacks_zone([received.message.issue_instant])


def _version(received: ReceivedResponse) -> bool:
    """Refuse another version of SAML, whose rules are others."""
    return bool(received.message.version != "2.0")


def _destination(received: ReceivedResponse) -> bool:
    """Refuse a Response made for another address: somebody else's, brought here.

    Only a signed one must have a Destination (bindings 3.5.5.2); in another the Recipient of the
    signed Assertion says it (docs/reference/attacks.md#17).
    """
    destination = received.message.destination
    if destination is None:
        return received.signed
    return bool(destination != received.acs)


def _in_response_to(received: ReceivedResponse) -> bool:
    """Refuse an answer to another request than the outstanding one: login CSRF.

    Source: docs/reference/attacks.md#16.
    """
    return bool(received.message.in_response_to != received.expected.id)


def _issuer(received: ReceivedResponse) -> bool:
    """Refuse a Response by anybody but the upstream that was asked.

    Source: docs/reference/attacks.md#18.
    """
    return foreign(received.message.issuer, received.upstream)


def _issuer_missing(received: ReceivedResponse) -> bool:
    """Refuse a Response without Issuer that is signed, or has an encrypted assertion.

    Source: saml-profiles 4.1.4.2.
    """
    if received.message.issuer is not None:
        return False
    return received.signed or received.has_encrypted_assertion


def _issued_later(received: ReceivedResponse) -> bool:
    """Refuse a Response from the future: a clock that wrong cannot say when anything ends."""
    return received.issued_later(received.message)


def _issued_long_ago(received: ReceivedResponse) -> bool:
    """Refuse a Response older than its request, or one that lay somewhere before it came."""
    return received.issued_long_ago(received.message)


def _assertion_of_refusal(received: ReceivedResponse) -> bool:
    """Refuse an error status that brings an assertion: one of the two is not the upstream's."""
    if received.succeeded:
        return False
    return received.has_plain_assertion or received.has_encrypted_assertion


def _plain(received: ReceivedResponse) -> bool:
    """Refuse a plain assertion from NemLog-in, whose profile has encrypted ones only.

    Source: docs/reference/nemlog-in.md#response.
    """
    return received.traits.strict and received.has_plain_assertion


RESPONSE_CHECKS: Final[dict[str, Callable[[ReceivedResponse], bool]]] = {
    "other_upstream": _other_upstream,
    "zone": _zone,
    "version": _version,
    "destination": _destination,
    "in_response_to": _in_response_to,
    "issuer": _issuer,
    "issuer_missing": _issuer_missing,
    "issued_later": _issued_later,
    "issued_long_ago": _issued_long_ago,
    "assertion_of_refusal": _assertion_of_refusal,
    "plain": _plain,
}


def check_response(received: ReceivedResponse) -> None:
    """Raise MessageRefused ``response.<name>`` for the first check that refuses the Response."""
    for name, offends in RESPONSE_CHECKS.items():
        if offends(received):
            clock_off = received.clock_off(received.message)
            raise MessageRefused(f"response.{name}", _detail(name, received), clock_off=clock_off)


def _detail(name: str, received: ReceivedResponse) -> str:
    """Return what the log says beside the name, where that leaves an administrator searching."""
    if name == "destination":
        return refusal_details.destination(received.message.destination, received.acs)
    if name == "zone":
        return refusal_details.zone([received.message.issue_instant])
    return ""
