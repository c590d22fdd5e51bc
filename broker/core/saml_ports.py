"""The ports of the SAML roles and of single logout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.core.consent.disclosure import Disclosure
from broker.core.errors import MessageRefused, Status
from broker.core.login.transaction import (
    Authentication,
    AuthnRequest,
    Issued,
    Outstanding,
    UpstreamRefusal,
)
from broker.core.logout.logout_state import LogoutPeer, LogoutRequest, LogoutResponse, Participant
from broker.core.logout.sessions import NameID


@dataclass(frozen=True, slots=True, repr=False)
class PostForm:
    """A message that the browser posts: the action of the form and its hidden fields."""

    action: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True, repr=False)
class Received:
    """A verified answer of an upstream, with the id and expiry of its message to detect replays."""

    answer: Authentication | UpstreamRefusal
    message_id: str
    until: datetime
    opened: bytes = b""  # the decrypted Assertion; empty if it was not encrypted


class IdpRole(Protocol):
    """Our identity provider role, toward the library's services."""

    def read_redirect(self, query_string: str, now: datetime) -> AuthnRequest:
        """Verify an AuthnRequest that came by HTTP-Redirect, from the raw query string."""

    def read_post(self, fields: Sequence[tuple[str, str]], now: datetime) -> AuthnRequest:
        """Verify an AuthnRequest that came by HTTP-POST, from the form's pairs."""

    def respond(
        self,
        request: AuthnRequest,
        disclosure: Disclosure,
        authentication: Authentication,
        issued: Issued,
    ) -> PostForm:
        """Write the signed Response with exactly the attributes of ``disclosure``."""

    def subject(self, request: AuthnRequest, disclosure: Disclosure, issued: Issued) -> NameID:
        """Return the NameID of the person in the assertion of ``issued``."""

    def refuse(
        self, request: AuthnRequest, status: Status, response_id: str, now: datetime
    ) -> PostForm:
        """Write the signed error Response."""


class SpRole(Protocol):
    """Our service provider role, toward the upstreams, which have their names in broker.toml."""

    def ask(
        self, upstream: str, request_id: str, request: AuthnRequest, now: datetime
    ) -> str | PostForm:
        """Return the URL or form with our signed AuthnRequest."""

    def parse_response(
        self, upstream: str, fields: Sequence[tuple[str, str]]
    ) -> tuple[object, str]:
        """Return the message, which has passed XML security, and the id of the request it answers.

        The caller must not trust either before ``receive``.
        """

    def receive(
        self,
        upstream: str,
        message: object,
        expected: Outstanding,
        *,
        force_authn: bool,
        now: datetime,
        idp_list: tuple[str, ...] = (),
    ) -> Received:
        """Verify the message of ``parse_response`` in full.

        Raises MessageRefused with the code of the check that failed.
        """

    def error_url(
        self, upstream: str, code: str, reference: str, names: str, now: datetime
    ) -> str | None:
        """Return the URL of an upstream's help page for this error; None if it has none."""


class LogoutRefused(MessageRefused):
    """A logout message that is refused: the person may still be logged in."""

    reason = "logout_refused"


class LogoutRole(Protocol):
    """Our single logout service, on both sides.

    ``upstream`` is the upstream to whose URL the message was sent; None for the URL of services.
    """

    def read_redirect(
        self, upstream: str | None, query: str, now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message that came by HTTP-Redirect, from the raw query string.

        Raises MessageRefused with the code of the check that failed.
        """

    def read_post(
        self, upstream: str | None, fields: Sequence[tuple[str, str]], now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message that came by HTTP-POST, from the form's pairs.

        Raises MessageRefused with the code of the check that failed.
        """

    def request(self, participant: Participant, request_id: str, now: datetime) -> str | PostForm:
        """Return the URL or form with our signed LogoutRequest to a participant."""

    def respond(
        self, request: LogoutRequest, response_id: str, status: Status, now: datetime
    ) -> str | PostForm | None:
        """Return the URL or form with our signed LogoutResponse to the peer that sent ``request``.

        None if its metadata has no address for a LogoutResponse.
        """

    def can_reach(self, peer: LogoutPeer, now: datetime) -> bool:
        """Return whether a peer has an address for a LogoutRequest, and keys for its answer."""
