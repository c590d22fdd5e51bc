"""Checks, reads and writes LogoutRequests and LogoutResponses with verified signatures.

Sources: saml-core 3.7, saml-profiles 4.4, docs/reference/attacks.md#29,
docs/reference/saml-profiles.md#1, #23 and #34.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lxml import etree
from saml2 import saml, samlp

from broker.adapters.saml.messages.message_values import (
    lacks_zone,
    name_id_element,
    read_issue_time,
    read_name_id,
    read_status_codes,
    read_text,
    read_time,
    status_element,
)
from broker.adapters.saml.xml_security import written_message, xml_times
from broker.adapters.saml.xml_security.xml_names import ASYNCHRONOUS
from broker.core.errors import SUCCESS, MessageRefused, Status
from broker.core.logout.single_logout import LogoutPeer, LogoutRequest, LogoutResponse, Participant

# A browser delivers the message at once.
_FRESH: Final = timedelta(minutes=5)
_BY_USER: Final = "urn:oasis:names:tc:SAML:2.0:logout:user"


@dataclass(frozen=True)
class ReceivedLogoutMessage:
    """A logout message with a verified signature, and the values that its checks need."""

    message: samlp.LogoutRequest | samlp.LogoutResponse
    address: str  # ours, where it came
    now: datetime
    skew: timedelta  # how far the peer's clock may differ

    @property
    def issue_time(self) -> datetime:
        """Return the IssueInstant."""
        return read_issue_time(self.message)

    @property
    def expires(self) -> str | None:
        """Return NotOnOrAfter of a request as text; a response has none."""
        return getattr(self.message, "not_on_or_after", None)


def _has_other_version(received: ReceivedLogoutMessage) -> bool:
    """Refuse another version of SAML: its rules differ."""
    return bool(received.message.version != "2.0")


def _has_other_destination(received: ReceivedLogoutMessage) -> bool:
    """Refuse a message made for another address (bindings 3.4.5.2)."""
    return bool(received.message.destination != received.address)


def _has_time_without_zone(received: ReceivedLogoutMessage) -> bool:
    """Refuse a time without Z."""
    return lacks_zone([received.message.issue_instant, received.expires])


def _is_from_future(received: ReceivedLogoutMessage) -> bool:
    """Refuse a message from the future."""
    return received.issue_time > received.now + received.skew


def _is_too_old(received: ReceivedLogoutMessage) -> bool:
    """Refuse a message that was delivered late: an attacker may have kept it."""
    return received.issue_time <= received.now - _FRESH - received.skew


def _is_expired(received: ReceivedLogoutMessage) -> bool:
    """Refuse a LogoutRequest that has expired (core 3.7.1)."""
    end = read_time(received.expires)
    if end is None:
        return False
    return end <= received.now - received.skew


def _has_doubtful_identifier(received: ReceivedLogoutMessage) -> bool:
    """Refuse a request that does not have exactly one NameID, plain or encrypted."""
    message = received.message
    return message.base_id is not None or (message.name_id is None) == (
        message.encrypted_id is None
    )


def _is_unsolicited(received: ReceivedLogoutMessage) -> bool:
    """Refuse a response without InResponseTo."""
    return not received.message.in_response_to


_BOTH: Final[dict[str, Callable[[ReceivedLogoutMessage], bool]]] = {
    "version": _has_other_version,
    "destination": _has_other_destination,
    "zone": _has_time_without_zone,
    "issued_later": _is_from_future,
    "issued_long_ago": _is_too_old,
}
LOGOUT_REQUEST_CHECKS: Final = {
    **_BOTH,
    "expired": _is_expired,
    "identifier": _has_doubtful_identifier,
}
LOGOUT_RESPONSE_CHECKS: Final = {**_BOTH, "unsolicited": _is_unsolicited}


def read_request(
    received: ReceivedLogoutMessage,
    peer: LogoutPeer,
    relay_state: str | None,
    decrypt_name_id: Callable[[], saml.NameID],
) -> LogoutRequest:
    """Check a LogoutRequest and return its content.

    ``decrypt_name_id`` is called for an EncryptedID. ``MessageRefused``: ``logout.<check>``, and
    errors of ``decrypt_name_id``.
    """
    _apply_checks(LOGOUT_REQUEST_CHECKS, received)
    message = received.message
    extensions = message.extensions.extension_elements if message.extensions else []
    return LogoutRequest(
        peer=peer,
        id=str(message.id or ""),
        name_id=read_name_id(message.name_id or decrypt_name_id()),
        indexes=tuple(read_text(index) for index in message.session_index),
        relay_state=relay_state,
        asynchronous=any(f"{{{each.namespace}}}{each.tag}" == ASYNCHRONOUS for each in extensions),
        issued_by=received.issue_time + received.skew,
    )


def read_response(received: ReceivedLogoutMessage, peer: LogoutPeer) -> LogoutResponse:
    """Check a LogoutResponse and return its content. ``MessageRefused``: ``logout.<check>``.

    Only the single status code Success says that the session has ended.
    """
    _apply_checks(LOGOUT_RESPONSE_CHECKS, received)
    message = received.message
    ended = read_status_codes(message.status) == (SUCCESS.top,)
    return LogoutResponse(peer, str(message.in_response_to), ended=ended)


def _apply_checks(
    table: dict[str, Callable[[ReceivedLogoutMessage], bool]], received: ReceivedLogoutMessage
) -> None:
    for name, offends in table.items():
        if offends(received):
            raise MessageRefused(f"logout.{name}")


def write_request(
    issuer: str, destination: str, participant: Participant, name: str, now: datetime
) -> etree._Element:
    """Write the LogoutRequest to a participant.

    Repeat the NameID and every SessionIndex exactly (docs/reference/saml-profiles.md#23).
    """
    message = samlp.LogoutRequest(
        id=name,
        version="2.0",
        issue_instant=xml_times.write(now),
        destination=destination,
        reason=_BY_USER,
        not_on_or_after=xml_times.write(now + _FRESH),
        issuer=saml.Issuer(text=issuer),
        name_id=name_id_element(participant.name_id),
        session_index=[samlp.SessionIndex(text=index) for index in participant.indexes],
    )
    return written_message.tree(message)


def write_response(
    issuer: str, destination: str, answered: str, name: str, *, status: Status, now: datetime
) -> etree._Element:
    """Write the LogoutResponse to the request of id ``answered``."""
    message = samlp.LogoutResponse(
        id=name,
        version="2.0",
        issue_instant=xml_times.write(now),
        destination=destination,
        in_response_to=answered,
        issuer=saml.Issuer(text=issuer),
        status=status_element(status),
    )
    return written_message.tree(message)
