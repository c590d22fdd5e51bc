"""Reads and writes LogoutRequests and LogoutResponses; sender and signature are verified before.

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

# A browser brings it at once; after that nobody waits for the logout any more.
_FRESH: Final = timedelta(minutes=5)
_BY_USER: Final = "urn:oasis:names:tc:SAML:2.0:logout:user"


@dataclass(frozen=True)
class ReceivedLogoutMessage:
    """A logout message with a verified signature, and what it is held against."""

    message: samlp.LogoutRequest | samlp.LogoutResponse
    address: str  # ours, where it came
    now: datetime
    skew: timedelta  # how far the peer's clock may differ

    @property
    def issued(self) -> datetime:
        """Return when it was made."""
        return read_issue_time(self.message)

    @property
    def expires(self) -> str | None:
        """Return until when a request may be obeyed, as it is written; a response has no end."""
        return getattr(self.message, "not_on_or_after", None)


def _version(received: ReceivedLogoutMessage) -> bool:
    """Refuse another version of SAML, whose rules are others."""
    return bool(received.message.version != "2.0")


def _destination(received: ReceivedLogoutMessage) -> bool:
    """Refuse a message made for another address and brought here (bindings 3.4.5.2)."""
    return bool(received.message.destination != received.address)


def _zone(received: ReceivedLogoutMessage) -> bool:
    """Refuse a time without Z."""
    return lacks_zone([received.message.issue_instant, received.expires])


def _issued_later(received: ReceivedLogoutMessage) -> bool:
    """Refuse a message from the future."""
    return received.issued > received.now + received.skew


def _issued_long_ago(received: ReceivedLogoutMessage) -> bool:
    """Refuse a message that lay somewhere: one kept to be used on somebody."""
    return received.issued <= received.now - _FRESH - received.skew


def _expired(received: ReceivedLogoutMessage) -> bool:
    """Refuse a LogoutRequest that has run out (core 3.7.1)."""
    end = read_time(received.expires)
    if end is None:
        return False
    return end <= received.now - received.skew


def _identifier(received: ReceivedLogoutMessage) -> bool:
    """Refuse any identifier but one NameID, plain or encrypted."""
    message = received.message
    return message.base_id is not None or (message.name_id is None) == (
        message.encrypted_id is None
    )


def _unsolicited(received: ReceivedLogoutMessage) -> bool:
    """Refuse an answer that nobody asked for."""
    return not received.message.in_response_to


_BOTH: Final[dict[str, Callable[[ReceivedLogoutMessage], bool]]] = {
    "version": _version,
    "destination": _destination,
    "zone": _zone,
    "issued_later": _issued_later,
    "issued_long_ago": _issued_long_ago,
}
LOGOUT_REQUEST_CHECKS: Final = {**_BOTH, "expired": _expired, "identifier": _identifier}
LOGOUT_RESPONSE_CHECKS: Final = {**_BOTH, "unsolicited": _unsolicited}


def read_request(
    received: ReceivedLogoutMessage,
    peer: LogoutPeer,
    relay_state: str | None,
    decrypt_name_id: Callable[[], saml.NameID],
) -> LogoutRequest:
    """Return the request in the core's words.

    ``MessageRefused`` ``logout.<check>``, or that of ``decrypt_name_id``, which is called for an
    EncryptedID.
    """
    _refuse(LOGOUT_REQUEST_CHECKS, received)
    message = received.message
    extensions = message.extensions.extension_elements if message.extensions else []
    return LogoutRequest(
        peer=peer,
        id=str(message.id or ""),
        name_id=read_name_id(message.name_id or decrypt_name_id()),
        indexes=tuple(read_text(index) for index in message.session_index),
        relay_state=relay_state,
        asynchronous=any(f"{{{each.namespace}}}{each.tag}" == ASYNCHRONOUS for each in extensions),
        issued_by=received.issued + received.skew,
    )


def read_response(received: ReceivedLogoutMessage, peer: LogoutPeer) -> LogoutResponse:
    """Return the response in the core's words.

    A session is ended only by one status code, Success. ``MessageRefused`` ``logout.<check>``.
    """
    _refuse(LOGOUT_RESPONSE_CHECKS, received)
    message = received.message
    ended = read_status_codes(message.status) == (SUCCESS.top,)
    return LogoutResponse(peer, str(message.in_response_to), ended=ended)


def _refuse(
    table: dict[str, Callable[[ReceivedLogoutMessage], bool]], received: ReceivedLogoutMessage
) -> None:
    for name, offends in table.items():
        if offends(received):
            raise MessageRefused(f"logout.{name}")


def request(
    issuer: str, destination: str, participant: Participant, name: str, now: datetime
) -> etree._Element:
    """Write the LogoutRequest to a participant.

    The NameID and every SessionIndex are exactly as they were (docs/reference/saml-profiles.md#23).
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


def response(
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
