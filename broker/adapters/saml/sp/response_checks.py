"""Checks an upstream's Response. Each check is a function that finds one fault.

Sources: saml-core 3.2, saml-profiles 4.1.4, docs/reference/attacks.md#15 to #19,
docs/reference/saml-profiles.md#17 and #18.
"""

from collections.abc import Callable
from typing import Final

from broker.adapters.saml.messages import refusal_details
from broker.adapters.saml.messages.message_values import lacks_zone
from broker.adapters.saml.sp.received_response import ReceivedResponse, is_other_issuer
from broker.core.errors import MessageRefused


def _is_of_other_upstream(received: ReceivedResponse) -> bool:
    """Refuse an answer at the ACS of an upstream that was not asked.

    Source: docs/reference/attacks.md#18.
    """
    return received.expected.upstream != received.upstream.name


def _has_time_without_zone(received: ReceivedResponse) -> bool:
    """Refuse a time without Z."""
    return lacks_zone([received.message.issue_instant])


def _has_other_version(received: ReceivedResponse) -> bool:
    """Refuse another version of SAML: its rules differ."""
    return bool(received.message.version != "2.0")


def _has_other_destination(received: ReceivedResponse) -> bool:
    """Refuse a Response made for another address: an attacker may replay it here.

    Only a signed Response must have a Destination (bindings 3.5.5.2). For an unsigned one, the
    Recipient in the signed Assertion counts (docs/reference/attacks.md#17).
    """
    destination = received.message.destination
    if destination is None:
        return received.signed
    return bool(destination != received.acs)


def _answers_other_request(received: ReceivedResponse) -> bool:
    """Refuse an answer to a request that is not outstanding: login CSRF.

    Source: docs/reference/attacks.md#16.
    """
    return bool(received.message.in_response_to != received.expected.id)


def _has_other_issuer(received: ReceivedResponse) -> bool:
    """Refuse a Response that the upstream of this login did not issue.

    Source: docs/reference/attacks.md#18.
    """
    return is_other_issuer(received.message.issuer, received.upstream)


def _lacks_issuer(received: ReceivedResponse) -> bool:
    """Refuse a missing Issuer if the Response is signed or its assertion is encrypted.

    Source: saml-profiles 4.1.4.2.
    """
    if received.message.issuer is not None:
        return False
    return received.signed or received.has_encrypted_assertion


def _is_from_future(received: ReceivedResponse) -> bool:
    """Refuse a Response from the future: times by such a clock prove nothing."""
    return received.is_from_future(received.message)


def _is_too_old(received: ReceivedResponse) -> bool:
    """Refuse a Response older than its request, or delivered late."""
    return received.is_too_old(received.message)


def _has_assertion_and_error(received: ReceivedResponse) -> bool:
    """Refuse an error status with an assertion: they contradict each other."""
    if received.is_success:
        return False
    return received.has_plain_assertion or received.has_encrypted_assertion


def _has_plain_assertion(received: ReceivedResponse) -> bool:
    """Refuse a plain assertion from NemLog-in: its profile demands encryption.

    Source: docs/reference/nemlog-in.md#response.
    """
    return received.traits.strict and received.has_plain_assertion


RESPONSE_CHECKS: Final[dict[str, Callable[[ReceivedResponse], bool]]] = {
    "other_upstream": _is_of_other_upstream,
    "zone": _has_time_without_zone,
    "version": _has_other_version,
    "destination": _has_other_destination,
    "in_response_to": _answers_other_request,
    "issuer": _has_other_issuer,
    "issuer_missing": _lacks_issuer,
    "issued_later": _is_from_future,
    "issued_long_ago": _is_too_old,
    "assertion_of_refusal": _has_assertion_and_error,
    "plain": _has_plain_assertion,
}


def check_response(received: ReceivedResponse) -> None:
    """Raise MessageRefused ``response.<name>`` for the first check that refuses the Response."""
    for name, offends in RESPONSE_CHECKS.items():
        if offends(received):
            offset = received.find_clock_offset(received.message)
            raise MessageRefused(f"response.{name}", _explain(name, received), clock_off=offset)


def _explain(name: str, received: ReceivedResponse) -> str:
    """Return what the log adds to the check's name for the administrator."""
    if name == "destination":
        return refusal_details.explain_destination(received.message.destination, received.acs)
    if name == "zone":
        return refusal_details.explain_zone([received.message.issue_instant])
    return ""
