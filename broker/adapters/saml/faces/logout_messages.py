"""Reads and writes LogoutRequests and LogoutResponses; sender and signature are verified before.

Sources: saml-core 3.7, saml-profiles 4.4, docs/reference/attacks.md#29,
docs/reference/saml-profiles.md#1, #23 and #34.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from lxml import etree
from saml2 import saml, samlp

from broker.adapters.saml.faces import response_writer
from broker.adapters.saml.faces.received_response import SUCCESS, moment, text
from broker.adapters.saml.gate import encryption, written_message, xml_times
from broker.adapters.saml.gate.xml_names import ASYNCHRONOUS, ENCRYPTED_ID, NAME_ID, SAMLP
from broker.core.errors import MessageRefused, Status
from broker.core.logout.sessions import NameID
from broker.core.logout.single_logout import LogoutPeer, LogoutRequest, LogoutResponse, Participant

# A browser brings it at once; after that nobody waits for the logout any more.
_FRESH: Final = timedelta(minutes=5)
_BY_USER: Final = "urn:oasis:names:tc:SAML:2.0:logout:user"
_IDENTIFIERS: Final = frozenset(("NameID", "EncryptedID", "BaseID"))
_INDEX: Final = f"{{{SAMLP}}}SessionIndex"
_CODE: Final = f"{{{SAMLP}}}StatusCode"
_ASYNCHRONOUS: Final = f"{{{SAMLP}}}Extensions/{ASYNCHRONOUS}"
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class ReceivedLogoutMessage:
    """A logout message with a verified signature, and what it is held against."""

    root: etree._Element
    address: str  # ours, where it came
    now: datetime
    skew: timedelta  # how far the peer's clock may differ

    @property
    def issued(self) -> datetime:
        """Return when it was made."""
        return moment(self.root, "IssueInstant") or _NEVER

    @property
    def identifiers(self) -> list[etree._Element]:
        """Return the elements that identify the principal, of any kind."""
        return [child for child in self.root if etree.QName(child).localname in _IDENTIFIERS]


def _version(received: ReceivedLogoutMessage) -> bool:
    """Refuse another version of SAML, whose rules are others."""
    return received.root.get("Version") != "2.0"


def _destination(received: ReceivedLogoutMessage) -> bool:
    """Refuse a message made for another address and brought here (bindings 3.4.5.2)."""
    return received.root.get("Destination") != received.address


def _zone(received: ReceivedLogoutMessage) -> bool:
    """Refuse a time without Z."""
    written = [received.root.get(name) for name in ("IssueInstant", "NotOnOrAfter")]
    return not all(xml_times.marked(time) for time in written if time is not None)


def _issued_later(received: ReceivedLogoutMessage) -> bool:
    """Refuse a message from the future."""
    return received.issued > received.now + received.skew


def _issued_long_ago(received: ReceivedLogoutMessage) -> bool:
    """Refuse a message that lay somewhere: one kept to be used on somebody."""
    return received.issued <= received.now - _FRESH - received.skew


def _expired(received: ReceivedLogoutMessage) -> bool:
    """Refuse a LogoutRequest that has run out (core 3.7.1)."""
    end = moment(received.root, "NotOnOrAfter")
    if end is None:
        return False
    return end <= received.now - received.skew


def _identifier(received: ReceivedLogoutMessage) -> bool:
    """Refuse any identifier but a NameID, plain or encrypted; the schema lets only one stand."""
    tags = [identifier.tag for identifier in received.identifiers]
    return tags not in ([NAME_ID], [ENCRYPTED_ID])


def _unsolicited(received: ReceivedLogoutMessage) -> bool:
    """Refuse an answer that nobody asked for."""
    return not received.root.get("InResponseTo")


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
    keys: encryption.DecryptionKeys,
    *,
    cbc: bool,
) -> LogoutRequest:
    """Return the request in the core's words.

    ``MessageRefused`` ``logout.<check>``, or the decryption's.
    """
    _refuse(LOGOUT_REQUEST_CHECKS, received)
    (identifier,) = received.identifiers
    if identifier.tag == ENCRYPTED_ID:
        identifier = encryption.decrypt(identifier, keys, allow_cbc=cbc, within=NAME_ID)
    return LogoutRequest(
        peer=peer,
        id=received.root.get("ID", ""),
        name_id=_name_id(identifier),
        indexes=tuple(text(index) for index in received.root.findall(_INDEX)),
        relay_state=relay_state,
        asynchronous=received.root.find(_ASYNCHRONOUS) is not None,
        issued_by=received.issued + received.skew,
    )


def _name_id(element: etree._Element) -> NameID:
    return NameID(
        text(element),
        element.get("Format"),
        element.get("NameQualifier"),
        element.get("SPNameQualifier"),
        element.get("SPProvidedID"),
    )


def read_response(received: ReceivedLogoutMessage, peer: LogoutPeer) -> LogoutResponse:
    """Return the response in the core's words.

    A session is ended only by one status code, Success. ``MessageRefused`` ``logout.<check>``.
    """
    _refuse(LOGOUT_RESPONSE_CHECKS, received)
    codes = [code.get("Value") for code in received.root.iter(_CODE)]
    return LogoutResponse(peer, received.root.get("InResponseTo", ""), ended=codes == [SUCCESS])


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
        name_id=response_writer.name_id(participant.name_id),
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
        status=response_writer.status_element(status),
    )
    return written_message.tree(message)
