"""Checks and reads logout messages whose signature is verified, and writes ours, unsigned.

Each check returns True if the message must be refused.
Sources: saml-core 3.7, saml-profiles 4.4, docs/reference/attacks.md#29,
docs/reference/saml-profiles.md#1, #23 and #34.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lxml import etree
from saml2 import saml, samlp

from broker.adapters.saml.messages.message_checks import (
    MAX_AGE,
    MESSAGE_CHECKS,
    ReceivedMessage,
    apply_checks,
)
from broker.adapters.saml.messages.message_values import (
    make_name_id,
    make_status,
    read_name_id,
    read_status_codes,
    read_text,
)
from broker.adapters.saml.messages.upstream_profiles import ProfileTraits
from broker.adapters.saml.xml_security import written_message, xml_times
from broker.adapters.saml.xml_security.xml_names import ASYNCHRONOUS
from broker.core.errors import SUCCESS, Status
from broker.core.logout.logout_state import LogoutPeer, LogoutRequest, LogoutResponse, Participant

_BY_USER: Final = "urn:oasis:names:tc:SAML:2.0:logout:user"


@dataclass(frozen=True)
class ReceivedLogoutMessage(ReceivedMessage):
    """A logout message with a verified signature; ``traits`` are of the sender's profile."""

    traits: ProfileTraits

    @property
    def skew(self) -> timedelta:
        """Return how far the peer's clock may differ."""
        return self.traits.skew

    @property
    def expires(self) -> str | None:
        """Return NotOnOrAfter of a request as text; a response has none."""
        return getattr(self.message, "not_on_or_after", None)

    def list_times(self) -> list[str | None]:
        """Return all times of the message as text."""
        return [self.message.issue_instant, self.expires]


def _is_expired(received: ReceivedLogoutMessage) -> bool:
    """Return whether a LogoutRequest has expired (core 3.7.1)."""
    return received.has_passed(xml_times.read(received.expires))


def _lacks_single_name_id(received: ReceivedLogoutMessage) -> bool:
    """Return whether a request does not have exactly one NameID, plain or encrypted."""
    message = received.message
    return message.base_id is not None or (message.name_id is None) == (
        message.encrypted_id is None
    )


def _is_unsolicited(received: ReceivedLogoutMessage) -> bool:
    """Return whether a response has no InResponseTo."""
    return not received.message.in_response_to


LOGOUT_REQUEST_CHECKS: Final[dict[str, Callable[[ReceivedLogoutMessage], bool]]] = {
    **MESSAGE_CHECKS,
    "expired": _is_expired,
    "identifier": _lacks_single_name_id,
}
LOGOUT_RESPONSE_CHECKS: Final[dict[str, Callable[[ReceivedLogoutMessage], bool]]] = {
    **MESSAGE_CHECKS,
    "unsolicited": _is_unsolicited,
}


def read_request(
    received: ReceivedLogoutMessage,
    peer: LogoutPeer,
    relay_state: str | None,
    decrypt_name_id: Callable[[], saml.NameID],
) -> LogoutRequest:
    """Check a LogoutRequest and return its content.

    ``decrypt_name_id`` is called for an EncryptedID. Raises MessageRefused with the cause
    ``logout.<name of the check>``, or with the cause of ``decrypt_name_id``.
    """
    apply_checks("logout", LOGOUT_REQUEST_CHECKS, received)
    message = received.message
    extensions = message.extensions.extension_elements if message.extensions else []
    return LogoutRequest(
        peer=peer,
        id=str(message.id or ""),
        name_id=read_name_id(message.name_id or decrypt_name_id()),
        indexes=tuple(read_text(index) for index in message.session_index),
        relay_state=relay_state,
        asynchronous=any(f"{{{each.namespace}}}{each.tag}" == ASYNCHRONOUS for each in extensions),
        latest_issue_time=received.issue_time + received.skew,
    )


def read_response(received: ReceivedLogoutMessage, peer: LogoutPeer) -> LogoutResponse:
    """Check a LogoutResponse and return its content.

    Only the single status code Success says that the session has ended. Raises MessageRefused
    with the cause ``logout.<name of the check>``.
    """
    apply_checks("logout", LOGOUT_RESPONSE_CHECKS, received)
    message = received.message
    ended = read_status_codes(message.status) == (SUCCESS.top,)
    return LogoutResponse(peer, str(message.in_response_to), ended=ended)


def write_request(
    issuer: str, destination: str, participant: Participant, message_id: str, now: datetime
) -> etree._Element:
    """Write the LogoutRequest to a participant.

    Repeat the NameID and every SessionIndex exactly (docs/reference/saml-profiles.md#23).
    """
    message = samlp.LogoutRequest(
        id=message_id,
        version="2.0",
        issue_instant=xml_times.write(now),
        destination=destination,
        reason=_BY_USER,
        not_on_or_after=xml_times.write(now + MAX_AGE),
        issuer=saml.Issuer(text=issuer),
        name_id=make_name_id(participant.name_id),
        session_index=[samlp.SessionIndex(text=index) for index in participant.indexes],
    )
    return written_message.tree(message)


def write_response(
    issuer: str,
    destination: str,
    request_id: str,
    message_id: str,
    *,
    status: Status,
    now: datetime,
) -> etree._Element:
    """Write the LogoutResponse to the request with the id ``request_id``."""
    message = samlp.LogoutResponse(
        id=message_id,
        version="2.0",
        issue_instant=xml_times.write(now),
        destination=destination,
        in_response_to=request_id,
        issuer=saml.Issuer(text=issuer),
        status=make_status(status),
    )
    return written_message.tree(message)
