"""Reads and writes LogoutRequests and LogoutResponses; whose they are and whether they are signed is known before.

Sources: saml-core 3.7, saml-profiles 4.4, attacks.md row 29, saml_profiles.md rows 1, 23 and 34.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from lxml import etree
from saml2 import saml, samlp

from broker.adapters.saml.faces import response_writer
from broker.adapters.saml.faces.received_response import SUCCESS, moment, text
from broker.adapters.saml.gate import encryption, xml_times
from broker.adapters.saml.gate.xml_names import ASYNCHRONOUS, ENCRYPTED_ID, NAME_ID, SAMLP
from broker.core.errors import UNKNOWN_PRINCIPAL, MessageRefused, Status
from broker.core.logout.sessions import NameID
from broker.core.logout.single_logout import LogoutPeer, LogoutRequest, LogoutResponse, Participant

# A browser takes it there at once; what lies about for longer is no logout that anybody waits for.
_FRESH: Final = timedelta(minutes=5)
_BY_USER: Final = "urn:oasis:names:tc:SAML:2.0:logout:user"
_INDEX: Final = f"{{{SAMLP}}}SessionIndex"
_CODE: Final = f"{{{SAMLP}}}StatusCode"
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class ReceivedLogoutMessage:
    """A logout message that passed the gate and whose signature holds, and what it is held against."""

    root: etree._Element
    address: str  # ours, where it came
    now: datetime
    skew: timedelta  # how far the peer's clock may differ

    @property
    def issued(self) -> datetime:
        """Give when it was made."""
        return moment(self.root, "IssueInstant") or _NEVER

    @property
    def identifiers(self) -> list[etree._Element]:
        """Give what names the principal, however it does."""
        return [
            each
            for each in self.root
            if etree.QName(each).localname in {"NameID", "EncryptedID", "BaseID"}
        ]


def _version(logging: ReceivedLogoutMessage) -> bool:
    """Refuse another version of SAML, whose rules are others."""
    return logging.root.get("Version") != "2.0"


def _destination(logging: ReceivedLogoutMessage) -> bool:
    """Refuse a message made for another address: somebody else's, brought here (bindings 3.4.5.2)."""
    return logging.root.get("Destination") != logging.address


def _zone(logging: ReceivedLogoutMessage) -> bool:
    """Refuse a time without Z."""
    written = [logging.root.get(each) for each in ("IssueInstant", "NotOnOrAfter")]
    return not all(xml_times.marked(each) for each in written if each is not None)


def _issued_later(logging: ReceivedLogoutMessage) -> bool:
    """Refuse a message from the future."""
    return logging.issued > logging.now + logging.skew


def _issued_long_ago(logging: ReceivedLogoutMessage) -> bool:
    """Refuse a message that lay somewhere: one kept to be used on somebody."""
    return logging.issued <= logging.now - _FRESH - logging.skew


def _expired(logging: ReceivedLogoutMessage) -> bool:
    """Refuse a LogoutRequest that says itself that it has run out (core 3.7.1)."""
    end = moment(logging.root, "NotOnOrAfter")
    return end is not None and end <= logging.now - logging.skew


def _identifier(logging: ReceivedLogoutMessage) -> bool:
    """Refuse any identifier but a NameID, plain or encrypted; the schema lets only one stand."""
    return [each.tag for each in logging.identifiers] not in ([NAME_ID], [ENCRYPTED_ID])


def _unsolicited(logging: ReceivedLogoutMessage) -> bool:
    """Refuse an answer that nobody asked for."""
    return not logging.root.get("InResponseTo")


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
    logging: ReceivedLogoutMessage,
    peer: LogoutPeer,
    relay_state: str | None,
    keys: encryption.DecryptionKeys,
    *,
    cbc: bool,
) -> LogoutRequest:
    """Give the request in the core's words; MessageRefused ``logout.<check>``, or the decryption's."""
    _refuse(LOGOUT_REQUEST_CHECKS, logging)
    (named,) = logging.identifiers
    if named.tag == ENCRYPTED_ID:
        named = encryption.decrypt(named, keys, allow_cbc=cbc, within=NAME_ID)
    return LogoutRequest(
        peer=peer,
        id=logging.root.get("ID", ""),
        name_id=NameID(
            text(named),
            named.get("Format"),
            named.get("NameQualifier"),
            named.get("SPNameQualifier"),
            named.get("SPProvidedID"),
        ),
        indexes=tuple(text(each) for each in logging.root.findall(_INDEX)),
        relay_state=relay_state,
        asynchronous=logging.root.find(f"{{{SAMLP}}}Extensions/{ASYNCHRONOUS}") is not None,
    )


def read_response(logging: ReceivedLogoutMessage, peer: LogoutPeer) -> LogoutResponse:
    """Give the response in the core's words; ended is only what has one status code, Success."""
    _refuse(LOGOUT_RESPONSE_CHECKS, logging)
    codes = [each.get("Value") for each in logging.root.iter(_CODE)]
    unknown = codes[1:] == [UNKNOWN_PRINCIPAL.second]
    return LogoutResponse(peer, logging.root.get("InResponseTo", ""), codes == [SUCCESS], unknown)


def _refuse(
    table: dict[str, Callable[[ReceivedLogoutMessage], bool]], logging: ReceivedLogoutMessage
) -> None:
    for name, offends in table.items():
        if offends(logging):
            raise MessageRefused(f"logout.{name}")


def request(
    issuer: str, destination: str, participant: Participant, name: str, now: datetime
) -> etree._Element:
    """Write the LogoutRequest to a participant: the NameID and every SessionIndex exactly as they were (row 23)."""
    message = samlp.LogoutRequest(
        id=name,
        version="2.0",
        issue_instant=xml_times.write(now),
        destination=destination,
        reason=_BY_USER,
        not_on_or_after=xml_times.write(now + _FRESH),
        issuer=saml.Issuer(text=issuer),
        name_id=response_writer.name_id(participant.name_id),
        session_index=[samlp.SessionIndex(text=each) for each in participant.indexes],
    )
    return etree.fromstring(message.to_string())


def response(
    issuer: str, destination: str, answered: str, name: str, *, status: Status, now: datetime
) -> etree._Element:
    """Write the LogoutResponse to the request of id ``answered``."""
    second = samlp.StatusCode(value=status.second) if status.second else None
    message = samlp.LogoutResponse(
        id=name,
        version="2.0",
        issue_instant=xml_times.write(now),
        destination=destination,
        in_response_to=answered,
        issuer=saml.Issuer(text=issuer),
        status=samlp.Status(status_code=samlp.StatusCode(value=status.top, status_code=second)),
    )
    return etree.fromstring(message.to_string())
