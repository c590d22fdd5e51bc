"""The one tree of everything that can go wrong, each with what the person may be told and what a service is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

_STATUS = "urn:oasis:names:tc:SAML:2.0:status:"


class Status(NamedTuple):
    """A SAML status: top-level code and second-level code, both URIs (saml-core 3.2.2.2)."""

    top: str
    second: str | None = None


SUCCESS = Status(_STATUS + "Success")
AUTHN_FAILED = Status(_STATUS + "Responder", _STATUS + "AuthnFailed")
NO_PASSIVE = Status(_STATUS + "Responder", _STATUS + "NoPassive")
NO_AUTHN_CONTEXT = Status(_STATUS + "Responder", _STATUS + "NoAuthnContext")
NO_AVAILABLE_IDP = Status(_STATUS + "Responder", _STATUS + "NoAvailableIDP")
NO_SUPPORTED_IDP = Status(_STATUS + "Responder", _STATUS + "NoSupportedIDP")
PROXY_COUNT_EXCEEDED = Status(_STATUS + "Responder", _STATUS + "ProxyCountExceeded")
REQUEST_DENIED = Status(_STATUS + "Responder", _STATUS + "RequestDenied")
REQUEST_UNSUPPORTED = Status(_STATUS + "Requester", _STATUS + "RequestUnsupported")
INVALID_NAME_ID_POLICY = Status(_STATUS + "Requester", _STATUS + "InvalidNameIDPolicy")
UNKNOWN_PRINCIPAL = Status(_STATUS + "Requester", _STATUS + "UnknownPrincipal")
# Success on top: services tell their user what stays open, where an error would tell of a failed
# logout.
PARTIAL_LOGOUT = Status(_STATUS + "Success", _STATUS + "PartialLogout")


class BrokerError(Exception):
    """Something the broker refuses or cannot do.

    ``reason`` is the stable code for logs, ``data-reason`` and tests, and names the public text;
    ``status`` is what a verified service is told; ``http`` is the status of the page.
    ``str(error)`` is for the log only and never holds a personal value.
    """

    reason: ClassVar[str] = "unexpected"
    status: ClassVar[Status] = AUTHN_FAILED
    http: ClassVar[int] = 503


class MessageRefused(BrokerError):
    """A SAML message that is malformed, hostile or not meant for us; ``cause`` names the check that refused it."""

    reason = "message_refused"
    http = 400

    def __init__(self, cause: str, detail: str = "", *, clock_off: int | None = None) -> None:
        """Take the check's stable code (``gate.doctype``), a detail for the log, and the seconds a peer's clock is off.

        Neither is a personal value; a clock that is ahead of ours is off by more than nought.
        """
        super().__init__(f"{cause}: {detail}" if detail else cause)
        self.cause, self.clock_off = cause, clock_off


class RequestRefused(BrokerError):
    """An AuthnRequest of a verified service that cannot be served; answered at its registered ACS."""

    reason = "request_refused"
    http = 400

    def __init__(self, refusal: Status, detail: str = "", *, request: object = None) -> None:
        """Take the SAML status that goes back to the service, a detail for the log, and the AuthnRequest refused."""
        super().__init__(detail or (refusal.second or refusal.top))
        self.refusal = refusal
        self.request = request


class TransactionGone(BrokerError):
    """No such transaction: never begun, older than 30 minutes, or ended."""

    reason = "transaction_gone"
    http = 410


class BrowserUnmatched(BrokerError):
    """The browser that asks is not the one the transaction belongs to (design 4a)."""

    reason = "other_browser"
    http = 403


class CookiesNeeded(BrokerError):
    """The browser keeps no cookie, so nothing can tell it from another (design 4a.1)."""

    reason = "cookies_needed"
    http = 400


class TokenRefused(BrokerError):
    """A form whose token is missing, foreign or older than ten minutes, or that came from another origin."""

    reason = "token_refused"
    http = 403


class FormRefused(BrokerError):
    """A form of ours with a field missing, repeated or of an unknown value."""

    reason = "form_refused"
    http = 422


class TooMany(BrokerError):
    """A limit on how often something may be tried was reached."""

    reason = "too_many"
    http = 429


class AttributesRefused(BrokerError):
    """Attributes of a verified assertion that name no one person, or that this institution may not assert.

    ``cause`` is a stable code: scope_mismatch, several_values, bad_value, cpr_shaped,
    cpr_disagrees, company_identity, and of the national eID itself spec_version, level_missing,
    level_too_low.
    """

    reason = "attributes_refused"
    status = AUTHN_FAILED
    http = 403

    def __init__(self, cause: str, name: str = "") -> None:
        """Take the code and the attribute's canonical name; a value is never taken."""
        super().__init__(f"{cause}: {name}" if name else cause)
        self.cause = cause


class StoreUnavailable(BrokerError):
    """The store does not answer or holds a record this release cannot read."""

    reason = "store_unavailable"


class AuditUnavailable(BrokerError):
    """What must be on the audit trail before it happens cannot be written there, so it does not happen."""

    reason = "audit_unavailable"


class MessageLogUnavailable(BrokerError):
    """A message with an upstream cannot be kept, and none may go unkept."""

    reason = "message_log_unavailable"


class LibraryUnavailable(BrokerError):
    """The library system did not answer in time, or answered that it cannot now; worth trying again."""

    reason = "library_unavailable"


class LibraryRefused(BrokerError):
    """The library system answered that it will not do this, and will say so again."""

    reason = "library_refused"


class MailUnavailable(BrokerError):
    """The mail server did not take the message; worth trying again."""

    reason = "mail_unavailable"


class RecipientRefused(MailUnavailable):
    """The mail server will never take mail to this recipient: it answered RCPT with 5xx."""

    reason = "recipient_refused"
    http = 422


class AddressRefused(BrokerError):
    """A mail address, as a person typed it, that cannot be taken.

    ``cause`` is a stable code: address_empty, address_too_long, address_not_plain,
    address_other_domain, address_cpr, address_unreachable.
    """

    reason = "address_refused"
    http = 422

    def __init__(self, cause: str) -> None:
        """Take the code; the address is never taken."""
        super().__init__(cause)
        self.cause = cause


class AddressTaken(BrokerError):
    """An address that proves somebody else: staff must look (one address proves one person)."""

    reason = "address_taken"
    http = 403


class CodeRefused(BrokerError):
    """A code or link of a mail of ours that proves nothing.

    ``cause`` is a stable code: code_malformed, code_wrong, code_used_up, code_expired, code_none.
    """

    reason = "code_refused"
    http = 422

    def __init__(self, cause: str) -> None:
        """Take the code of the cause; what was typed is never taken."""
        super().__init__(cause)
        self.cause = cause


class LogoutGone(BrokerError):
    """No such logout: never begun, or older than 30 minutes."""

    reason = "logout_gone"
    http = 410


class LinkGone(BrokerError):
    """A link from a mail of ours that leads nowhere: used, replaced, run out, or never sent."""

    reason = "link_gone"
    http = 410


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in what an administrator wrote: where it stands, what is wrong, how to mend it."""

    where: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        """Give one line: ``policies/student.yaml:12: what (mend)``."""
        return f"{self.where}: {self.what}" + (f" ({self.mend})" if self.mend else "")


class ConfigurationFaults(BrokerError):
    """Everything wrong with the configuration, policies, maps, metadata or keys, found in one go (exit code 78)."""

    reason = "configuration"

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Take every fault that was found."""
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)
