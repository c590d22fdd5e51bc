"""Every check of an upstream's Response beyond gate and signature: one small function each, which says if it offends.

Sources: saml-core 3.2, saml-profiles 4.1.4, attacks.md rows 15 to 19, saml_profiles.md rows 17 and
18.
"""

from collections.abc import Callable
from typing import Final

from broker.adapters.saml.faces.received_response import (
    ReceivedResponse,
    foreign,
    future,
    old,
    unmarked,
)
from broker.adapters.saml.gate.xml_names import ASSERTION, ISSUER


def _other_upstream(answer: ReceivedResponse) -> bool:
    """Refuse an answer at the ACS of another upstream than the one that was asked (row 18)."""
    return answer.expected.upstream != answer.upstream.name


def _zone(answer: ReceivedResponse) -> bool:
    """Refuse a time without Z."""
    return unmarked([answer.response])


def _version(answer: ReceivedResponse) -> bool:
    """Refuse another version of SAML, whose rules are others."""
    return answer.response.get("Version") != "2.0"


def _destination(answer: ReceivedResponse) -> bool:
    """Refuse a Response made for another address: somebody else's, brought here (row 17)."""
    return answer.response.get("Destination") != answer.acs


def _in_response_to(answer: ReceivedResponse) -> bool:
    """Refuse an answer to another request than the outstanding one: login CSRF (row 16)."""
    return answer.response.get("InResponseTo") != answer.expected.id


def _issuer(answer: ReceivedResponse) -> bool:
    """Refuse a Response by anybody but the upstream that was asked (row 18)."""
    return any(foreign(each, answer.upstream) for each in answer.response.findall(ISSUER))


def _issued_later(answer: ReceivedResponse) -> bool:
    """Refuse a Response from the future: a clock that wrong cannot say when anything ends."""
    return future(answer.response, answer)


def _issued_long_ago(answer: ReceivedResponse) -> bool:
    """Refuse a Response older than its request, or one that lay somewhere before it came."""
    return old(answer.response, answer)


def _assertion_of_refusal(answer: ReceivedResponse) -> bool:
    """Refuse an error status that brings an assertion: one of the two is not the upstream's."""
    return not answer.succeeded and bool(answer.assertions)


def _plain(answer: ReceivedResponse) -> bool:
    """Refuse a plain assertion from NemLog-in, whose profile knows encrypted ones only (nemid.md)."""
    return answer.manner.strict and answer.response.find(ASSERTION) is not None


RESPONSE_CHECKS: Final[dict[str, Callable[[ReceivedResponse], bool]]] = {
    "other_upstream": _other_upstream,
    "zone": _zone,
    "version": _version,
    "destination": _destination,
    "in_response_to": _in_response_to,
    "issuer": _issuer,
    "issued_later": _issued_later,
    "issued_long_ago": _issued_long_ago,
    "assertion_of_refusal": _assertion_of_refusal,
    "plain": _plain,
}
