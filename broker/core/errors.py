"""The errors of the broker: a reason code for logs and pages, a SAML status, an HTTP status."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

_STATUS = "urn:oasis:names:tc:SAML:2.0:status:"


class Status(NamedTuple):
    """A SAML status: top-level code and second-level code, both URIs (saml-core 3.2.2.2)."""

    top: str
    second: str | None = None


def name_cause(error: BaseException) -> str:
    """Return the class of an error, or that a host name is unknown if this is what caused it.

    The text of the error is not used: it may quote a value or a password.
    """
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ == "gaierror":  # of the module socket, which core does not import
            return "the host name is unknown (DNS)"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _responder(second: str) -> Status:
    return Status(_STATUS + "Responder", _STATUS + second)


def _requester(second: str) -> Status:
    return Status(_STATUS + "Requester", _STATUS + second)


SUCCESS = Status(_STATUS + "Success")
AUTHN_FAILED = _responder("AuthnFailed")
NO_PASSIVE = _responder("NoPassive")
NO_AUTHN_CONTEXT = _responder("NoAuthnContext")
NO_AVAILABLE_IDP = _responder("NoAvailableIDP")
NO_SUPPORTED_IDP = _responder("NoSupportedIDP")
PROXY_COUNT_EXCEEDED = _responder("ProxyCountExceeded")
REQUEST_DENIED = _responder("RequestDenied")
REQUEST_UNSUPPORTED = _requester("RequestUnsupported")
UNSUPPORTED_BINDING = _requester("UnsupportedBinding")
INVALID_NAME_ID_POLICY = _requester("InvalidNameIDPolicy")
UNKNOWN_PRINCIPAL = _requester("UnknownPrincipal")
# Success on top: services tell their user what stays open, where an error would tell of a failed
# logout.
PARTIAL_LOGOUT = Status(_STATUS + "Success", _STATUS + "PartialLogout")


class BrokerError(Exception):
    """Something that the broker refuses or cannot do.

    ``reason`` is the stable code for logs, ``data-reason`` and tests, and names the public text.
    ``status`` goes to a verified service, ``http`` is the status of the page, and ``setting`` names
    what must be corrected in another system, if that is the cause. ``str(error)`` is for the log
    only and never holds a personal value.
    """

    reason: ClassVar[str] = "unexpected"
    status: ClassVar[Status] = AUTHN_FAILED
    http: ClassVar[int] = 503

    def __init__(self, cause: str = "", setting: str | None = None) -> None:
        """Store the sentence for log and staff, and the setting that must be corrected, if any."""
        super().__init__(cause)
        self.setting = setting


class MessageRefused(BrokerError):
    """A SAML message that is malformed, hostile or for another party; ``cause`` names the check."""

    reason = "message_refused"
    http = 400

    def __init__(self, cause: str, detail: str = "", *, clock_off: int | None = None) -> None:
        """Store the check's stable code (``xml.doctype``) and how far a peer's clock is off.

        ``detail`` is for the log; none is a personal value. ``clock_off`` is in seconds, positive
        for a clock that is ahead.
        """
        super().__init__(f"{cause}: {detail}" if detail else cause)
        self.cause = cause
        self.detail = detail
        self.clock_off = clock_off


class ServiceNotConnected(MessageRefused):
    """An AuthnRequest of a configured service without valid metadata.

    It has expired, its file is broken, or its federation withdrew it: the person can only wait.
    ``service`` is its name in the configuration.
    """

    reason = "service_not_connected"
    http = 503

    def __init__(self, service: str) -> None:
        """Store which service it is."""
        super().__init__("request.no_metadata", service)
        self.service = service


class RequestRefused(BrokerError):
    """An AuthnRequest of a verified service that is refused by an answer to its registered ACS."""

    reason = "request_refused"
    http = 400

    def __init__(
        self, refusal: Status, cause: str = "", *, detail: str = "", request: object = None
    ) -> None:
        """Store the status for the service, the request, and what the log may say of it."""
        super().__init__(cause or refusal.second or refusal.top)
        self.refusal = refusal
        self.detail = detail
        self.request = request


class TransactionGone(BrokerError):
    """There is no such transaction: never begun, older than 30 minutes, or ended."""

    reason = "transaction_gone"
    http = 410


class BrowserUnmatched(BrokerError):
    """Another browser than the transaction's makes the request (docs/reference/design.md#4a)."""

    reason = "other_browser"
    http = 403


class LoginCookieMissing(BrowserUnmatched):
    """The transaction's browser no longer has the cookie of its authentication.

    It keeps those of the last few logins only, and a repeated login replaces its own.
    """

    reason = "login_cookie_missing"


class CookiesNeeded(BrokerError):
    """The browser accepts no cookie (docs/reference/design.md#4a-1)."""

    reason = "cookies_needed"
    http = 400


class TokenRefused(BrokerError):
    """A form of another origin, or whose token is missing, foreign or older than ten minutes."""

    reason = "token_refused"
    http = 403


class FormRefused(BrokerError):
    """A form of the broker has a field that is missing, repeated or of an unknown value."""

    reason = "form_refused"
    http = 422


class TooMany(BrokerError):
    """A limit on how often something may be tried was reached."""

    reason = "too_many"
    http = 429


class NetworkBusy(TooMany):
    """More logins began from one network within a minute than its limit.

    Source: docs/reference/design.md#4e.
    """

    reason = "network_busy"

    def __init__(self, retry_after: int) -> None:
        """Store the seconds after which more may begin."""
        super().__init__("beginnings of a network")
        self.retry_after = retry_after


class AttributesRefused(BrokerError):
    """Attributes that identify nobody, or that the sender of the assertion may not assert.

    ``cause`` is a stable code: scope_mismatch, several_values, bad_value, bad_characters,
    blanks_around, too_long, cpr_shaped, cpr_disagrees, company_identity, and for the national eID
    spec_version, level_missing, level_too_low.
    """

    reason = "attributes_refused"
    status = AUTHN_FAILED
    http = 403

    def __init__(self, cause: str, name: str = "") -> None:
        """Store the code and the attribute's canonical name, never a value."""
        super().__init__(f"{cause}: {name}" if name else cause)
        self.cause = cause
        self.name = name


class StoreUnavailable(BrokerError):
    """The store does not answer or holds a record this release cannot read."""

    reason = "store_unavailable"


class AuditUnavailable(BrokerError):
    """An event that must be on the audit log before it happens cannot be written there."""

    reason = "audit_unavailable"


class MessageLogUnavailable(BrokerError):
    """A message with an upstream must be stored and cannot be."""

    reason = "message_log_unavailable"


class LibraryError(BrokerError):
    """A call of the library system that failed.

    ``str(error)`` has the library system's own words, without a value that a person has.
    ``setting`` names what must be corrected in the set-up, in the library system's own words
    ("category_id STUDENT", "minPasswordLength"). It is None if the cause is this person's data, or
    a system that is down.
    """


class LibraryUnavailable(LibraryError):
    """The library system did not answer in time, or cannot answer now: retry."""

    reason = "library_unavailable"


# A gateway answers with these in place of the library system.
GATEWAY_ERRORS: Final = frozenset({502, 503, 504})


class LibrarySilent(LibraryUnavailable):
    """There was no connection or no answer in time, or a gateway answered 502, 503 or 504."""


class ChangeUnanswered(LibrarySilent):
    """A write of a whole borrower was sent and not answered. It may undo the next change."""


class CallNotMade(LibraryUnavailable):
    """A call was postponed, or rejected before the library system: it had no effect."""


class CallNotSent(CallNotMade, LibrarySilent):
    """There was no connection for a call: it had no effect."""


class LibraryRefused(LibraryError):
    """The library system refused, and will refuse again until something is corrected."""

    reason = "library_refused"


class PinUnderWay(LibraryUnavailable):
    """Another change of the borrower may still be carried out: retry later."""

    reason = "pin_under_way"
    http = 409


class MailUnavailable(BrokerError):
    """The mail server did not accept the message: the outbox retries. No page shows this."""


class RecipientRefused(MailUnavailable):
    """The mail server will never take mail to this recipient: it answered RCPT with 5xx."""


class AddressRefused(BrokerError):
    """A mail address, as a person typed it, that cannot be accepted.

    ``cause`` is a stable code: address_empty, address_too_long, address_without_at,
    address_not_plain, address_other_domain, address_cpr.
    """

    reason = "address_refused"
    http = 422

    def __init__(self, cause: str) -> None:
        """Store the code, never the address."""
        super().__init__(cause)
        self.cause = cause


class AddressTaken(BrokerError):
    """The address proves another person; staff can remove that proof."""

    reason = "address_taken"
    http = 403


class ClaimRefused(BrokerError):
    """No borrower of this card number can be connected to the login, for whatever reason."""

    reason = "claim_refused"
    http = 422


class CodeRefused(BrokerError):
    """A code or link from one of our mails that proves nothing.

    ``cause`` is a stable code: code_malformed, code_wrong, code_used_up, code_none.
    """

    reason = "code_refused"
    http = 422

    def __init__(self, cause: str) -> None:
        """Store the code of the cause, never what was typed."""
        super().__init__(cause)
        self.cause = cause


class LogoutGone(BrokerError):
    """No such logout: never begun, or older than 30 minutes."""

    reason = "logout_gone"
    http = 410


class LinkGone(BrokerError):
    """A link from one of our mails that is not valid: used, replaced, expired, or never sent."""

    reason = "link_gone"
    http = 410


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in an administrator's file: where it stands, what is wrong, how to fix it."""

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        """Return one line: ``policies/student.yaml:12: what (mend)``."""
        line = f"{self.where}: {self.what}"
        if self.fix:
            line += f" ({self.fix})"
        return line


class ConfigurationFaults(BrokerError):
    """The faults in configuration, policies, maps, metadata or keys, all at once (exit code 78)."""

    reason = "configuration"

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Store every fault that was found."""
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class NothingFound(LookupError):
    """The name in a command leads to nothing. The text says why; no page shows it."""

    about = ""
