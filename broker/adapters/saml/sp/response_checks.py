"""The checks of an upstream's Response.

Each check is a function that returns True if the Response must be refused. Its name in
RESPONSE_CHECKS is the refusal code.

Sources: saml-core 3.2, saml-profiles 4.1.4, docs/reference/attacks.md#15 to #19,
docs/reference/saml-profiles.md#17 and #18.
"""

from collections.abc import Callable
from typing import Final

from broker.adapters.saml.messages.message_checks import MESSAGE_CHECKS
from broker.adapters.saml.sp.received_response import ReceivedFromUpstream, ReceivedResponse


def _is_of_other_upstream(received: ReceivedResponse) -> bool:
    """Refuse an answer at the ACS of an upstream that was not asked.

    Source: docs/reference/attacks.md#18.
    """
    return received.expected.upstream != received.upstream.name


def _answers_other_request(received: ReceivedResponse) -> bool:
    """Refuse an answer to a request that is not outstanding: login CSRF.

    Source: docs/reference/attacks.md#16.
    """
    return bool(received.message.in_response_to != received.expected.id)


def _lacks_issuer(received: ReceivedResponse) -> bool:
    """Refuse a missing Issuer if the Response is signed or its assertion is encrypted.

    Source: saml-profiles 4.1.4.2.
    """
    if received.message.issuer is not None:
        return False
    return received.signed or received.has_encrypted_assertion


def _has_assertion_and_error(received: ReceivedResponse) -> bool:
    """Refuse an error status with an assertion: they contradict each other."""
    if received.is_success:
        return False
    return received.has_plain_assertion or received.has_encrypted_assertion


def _has_plain_assertion(received: ReceivedResponse) -> bool:
    """Refuse an assertion from NemLog-in that is not encrypted, as its profile demands.

    Source: docs/reference/nemlog-in.md#response.
    """
    return received.traits.strict and received.has_plain_assertion


RESPONSE_CHECKS: Final[dict[str, Callable[[ReceivedResponse], bool]]] = {
    "other_upstream": _is_of_other_upstream,
    **MESSAGE_CHECKS,
    "in_response_to": _answers_other_request,
    "issuer": ReceivedFromUpstream.has_other_issuer,
    "issuer_missing": _lacks_issuer,
    "assertion_of_refusal": _has_assertion_and_error,
    "plain": _has_plain_assertion,
}
