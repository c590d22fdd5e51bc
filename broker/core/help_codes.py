"""Help codes of visitors, which carry time, page and reason, so that nothing is stored for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from broker.core.lookup_hmacs import LookupHmacs

# Read aloud at a service desk: no vowels that make words, no letter that looks like a digit.
SPEAKABLE: Final = "23456789BCDFGHJKMNPQRSTVWXZ"
LENGTH: Final = 12
_LABEL: Final = "stateless-reference"
_MINUTE: Final = timedelta(minutes=1)
# 16 bits of minutes come round after 45 days: the latest such minute is meant.
_MINUTES: Final = 1 << 16
_STEPS: Final = 1 << 6
_REASONS: Final = 1 << 8
# Twelve letters hold 57 bits. Guessing right misleads a clerk about one page, and costs a call.
_MACS: Final = 1 << 27
_MAC_DIGITS: Final = 7  # of the pseudonym, in hex: 28 bits

# A number is the place in the table: a new entry goes to the end, and none is ever taken out.
STEPS: Final[Sequence[str]] = (
    "",  # any other
    "none",
    "/",
    "/end",
    "/error",
    "/favicon.ico",
    "/healthz",
    "/login/<name>",
    "/login/<name>/changed",
    "/login/<name>/consent",
    "/login/<name>/pin",
    "/login/<name>/proof",
    "/login/<name>/proof/<link>",
    "/login/<name>/upgrade",
    "/login/<name>/upstream",
    "/logout/<logout>",
    "/logout/<logout>/on",
    "/metrics",
    "/my-choices",
    "/pictures/<name>",
    "/pin",
    "/readyz",
    "/saml/idp/metadata",
    "/saml/idp/slo",
    "/saml/idp/sso",
    "/saml/sp/<upstream>/acs",
    "/saml/sp/<upstream>/metadata",
    "/saml/sp/<upstream>/slo",
    "/sign-up",
    "/sign-up/",
    "/sign-up/begin",
    "/static/<path:filename>",
    "/admin",
    "/admin/login",
    "/admin/login/<login_id>",
    "/admin/logout",
    "/admin/live",
    "/admin/try",
    "/admin/explain",
    "/admin/desk",
    "/admin/report",
    "/admin/person",
    "/login/<name>/claim",
    "/login/<name>/address",
)
REASONS: Final[Sequence[str]] = (
    "",  # any other
    "unexpected",
    "transaction_gone",
    "other_browser",
    "login_cookie_missing",
    "cookies_needed",
    "token_refused",
    "form_refused",
    "logout_gone",
    "logout_refused",
    "message_refused",
    "request_refused",
    "too_many",
    "network_busy",
    "store_unavailable",
    "audit_unavailable",
    "message_log_unavailable",
    "configuration",
    "library_unavailable",
    "library_refused",
    "pin_under_way",
    "pin_no_mail",
    "mail_unavailable",
    "recipient_refused",
    "address_refused",
    "address_taken",
    "code_refused",
    "link_gone",
    "attributes_refused",
    "at_service_identification",
    "at_service_authentication",
    "at_service_authorization",
    "at_service_other",
    "not_found",
    "wrong_method",
    "too_large",
    "passive",
    "assurance_too_low",
    "upstream_refused",
    "login_not_finished",
    "finished",
    "service_not_connected",
    "staff_login_needed",
    "staff_refused",
    "staff_role_missing",
    "register_unavailable",
    "register_refused",
    "claim_refused",
)


@dataclass(frozen=True, slots=True)
class ShownPage:
    """The page of a help code: when it was shown, its step, and the reason on it.

    ``step`` and ``reason`` are "" if they are unknown, or if the page showed no error.
    ``is_visitor`` means that nobody had authenticated.
    """

    at: datetime
    step: str = ""
    reason: str = ""
    is_visitor: bool = False


@dataclass(frozen=True, slots=True)
class StatelessReferences:
    """Help codes that are signed with the index key."""

    hmacs: LookupHmacs

    def encode(self, step: str, reason: str, at: datetime) -> str:
        """Return twelve speakable letters for a page of ``step`` (a route) and ``reason``.

        Two pages with the same step, reason and minute have the same code.
        """
        minute = _minute(at) % _MINUTES
        facts = (minute * _STEPS + _place(step, STEPS)) * _REASONS + _place(reason, REASONS)
        return spell_number(facts * _MACS + self._mac(facts), LENGTH)

    def read(self, spoken: str, now: datetime) -> ShownPage | None:
        """Return the facts of a code, in any case and spacing; None if it is not ours."""
        if not is_stateless(spoken):
            return None
        facts, mac = divmod(_number(normalize_code(spoken)), _MACS)
        if mac != self._mac(facts):
            return None
        rest, reason = divmod(facts, _REASONS)
        minute, step = divmod(rest, _STEPS)
        ago = (_minute(now) - minute) % _MINUTES
        at = now.replace(second=0, microsecond=0) - ago * _MINUTE
        return ShownPage(at, _entry(step, STEPS), _entry(reason, REASONS), is_visitor=True)

    def _mac(self, facts: int) -> int:
        _, _, digits = self.hmacs.compute(_LABEL, str(facts)).partition(".")
        return int(digits[:_MAC_DIGITS], 16) % _MACS


def normalize_code(spoken: str) -> str:
    """Return a help code as it is stored, from any case, spacing and hyphens."""
    return "".join(spoken.replace("-", " ").split()).upper()


def is_stateless(spoken: str) -> bool:
    """Return whether a text has the shape of such a code, in any case and spacing."""
    written = normalize_code(spoken)
    return len(written) == LENGTH and set(written) <= set(SPEAKABLE)


def _minute(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp()) // 60


def _place(entry: str, table: Sequence[str]) -> int:
    return table.index(entry) if entry in table else 0


def _entry(place: int, table: Sequence[str]) -> str:
    return table[place] if place < len(table) else ""


def spell_number(number: int, length: int) -> str:
    """Return a number below ``len(SPEAKABLE) ** length`` in so many speakable letters."""
    letters = []
    for _ in range(length):
        number, digit = divmod(number, len(SPEAKABLE))
        letters.append(SPEAKABLE[digit])
    return "".join(reversed(letters))


def _number(written: str) -> int:
    number = 0
    for letter in written:
        number = number * len(SPEAKABLE) + SPEAKABLE.index(letter)
    return number
