"""The ports of the SAML roles and of single logout: what is read and what is written."""

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
    """A message on its way through the browser: the form's action and its hidden fields."""

    action: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True, repr=False)
class Received:
    """A verified answer of an upstream, with the id and end of its message to detect replays."""

    answer: Authentication | UpstreamRefusal
    message_id: str
    until: datetime
    opened: bytes = b""  # the Assertion that was encrypted in it, as its signature covers it


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
        """Write the signed Response with exactly what ``disclosure`` holds."""

    def subject(self, request: AuthnRequest, disclosure: Disclosure, issued: Issued) -> NameID:
        """Return the NameID under which the assertion of ``issued`` names the person."""

    def refuse(
        self, request: AuthnRequest, status: Status, response_id: str, now: datetime
    ) -> PostForm:
        """Write the signed error Response."""


class SpRole(Protocol):
    """Our service provider role, toward the upstreams; upstreams are named as in broker.toml."""

    def ask(
        self, upstream: str, request_id: str, request: AuthnRequest, now: datetime
    ) -> str | PostForm:
        """Return the URL, or the form, that carries our signed AuthnRequest."""

    def parse_response(
        self, upstream: str, fields: Sequence[tuple[str, str]]
    ) -> tuple[object, str]:
        """Return the message, past XML security, and the request it claims to answer.

        The message is not trusted yet.
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

        MessageRefused names the check that failed.
        """

    def error_url(
        self, upstream: str, code: str, reference: str, names: str, now: datetime
    ) -> str | None:
        """Return an upstream's error page for its own people, filled in; None if it has none."""


class LogoutRefused(MessageRefused):
    """A logout message that is refused: the person who brought it may still be logged in."""

    reason = "logout_refused"


class LogoutRole(Protocol):
    """Our single logout service, on both sides.

    ``upstream`` names the upstream whose address the message came to, None for the services'.
    """

    def read_redirect(
        self, upstream: str | None, query: str, now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message that came by HTTP-Redirect, from the raw query string.

        MessageRefused names the check that failed.
        """

    def read_post(
        self, upstream: str | None, fields: Sequence[tuple[str, str]], now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message that came by HTTP-POST, from the form's pairs.

        MessageRefused names the check that failed.
        """

    def request(self, participant: Participant, request_id: str, now: datetime) -> str | PostForm:
        """Return the URL or the form that takes our signed LogoutRequest to a participant."""

    def respond(
        self, request: LogoutRequest, response_id: str, status: Status, now: datetime
    ) -> str | PostForm | None:
        """Return the URL or the form that takes our signed LogoutResponse to the peer that asked.

        None where it has no address for one.
        """

    def can_reach(self, peer: LogoutPeer, now: datetime) -> bool:
        """Return whether a peer can be asked, and its answer be believed."""
