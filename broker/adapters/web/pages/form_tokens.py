"""The token of a form: bound to transaction, purpose and what was shown, for ten minutes, from our own origin only."""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Request
from werkzeug.datastructures import MultiDict

from broker.adapters.web.pages.security_headers import same_origin
from broker.core.consent.consent import TOKEN_VALID_FOR
from broker.core.errors import FormRefused, TokenRefused
from broker.core.login.transaction import Transaction
from broker.core.pseudonyms import Pseudonyms


@dataclass(frozen=True, slots=True)
class FormTokens:
    """Makes and checks form tokens."""

    pseudonyms: Pseudonyms
    base_url: str

    def token(self, transaction: Transaction, purpose: str, now: datetime, shown: str = "") -> str:
        """Give a token for one form, ``seconds~shown~digest``; ``shown`` is the digest of what the page shows."""
        seconds = str(int(now.timestamp()))
        return f"{seconds}~{shown}~{self._digest(transaction, purpose, shown, seconds)}"

    def read(
        self, request: Request, transaction: Transaction, purpose: str, now: datetime
    ) -> "SubmittedForm":
        """Give the form's fields; TokenRefused unless the token is this form's, fresh, and the origin is ours."""
        if not same_origin(request.headers, self.base_url):
            raise TokenRefused("a form from another origin")
        fields = request.form
        return SubmittedForm(
            fields, self.hold(SubmittedForm(fields).one("token", ""), transaction, purpose, now)
        )

    def hold(self, token: str, transaction: Transaction, purpose: str, now: datetime) -> str:
        """Give what the page of ``token`` showed; TokenRefused unless it is this purpose's, this login's, and fresh."""
        seconds, _, rest = token.partition("~")
        shown, _, digest = rest.partition("~")
        if not (seconds.isascii() and seconds.isdigit() and len(seconds) < 12):
            raise TokenRefused("a token without a time")
        if not hmac.compare_digest(
            digest.encode(), self._digest(transaction, purpose, shown, seconds).encode()
        ):
            raise TokenRefused("a token of another form, transaction or page")
        age = now - datetime.fromtimestamp(int(seconds), UTC)
        if not -TOKEN_VALID_FOR < age < TOKEN_VALID_FOR:
            raise TokenRefused("a token older than ten minutes")
        return shown

    def _digest(self, transaction: Transaction, purpose: str, shown: str, seconds: str) -> str:
        # arrival: a token shown before a new login of the same transaction is worthless after it.
        bound = (transaction.id, transaction.browser or "", transaction.arrival or "")
        return self.pseudonyms.of("form", *bound, purpose, shown, seconds)


@dataclass(frozen=True, slots=True)
class SubmittedForm:
    """The fields of a form, each at most once where one is wanted."""

    fields: MultiDict[str, str]
    shown: str = ""

    def one(self, name: str, default: str | None = None) -> str:
        """Give the one value of ``name``; FormRefused if it is repeated, or absent and there is no default."""
        found = self.fields.getlist(name)
        if len(found) > 1 or (not found and default is None):
            raise FormRefused(f"field {name} {'repeated' if found else 'missing'}")
        return found[0] if found else str(default)

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """Give the one value of ``name``, which must be among ``allowed``."""
        value = self.one(name)
        if value not in allowed:
            raise FormRefused(f"field {name} has a value that the page does not offer")
        return value

    def several(self, name: str) -> tuple[str, ...]:
        """Give every value of ``name``."""
        return tuple(self.fields.getlist(name))
