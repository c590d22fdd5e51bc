"""The token of a form, bound for ten minutes to transaction, purpose, origin and what was shown."""

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from flask import Request
from werkzeug.datastructures import MultiDict

from broker.adapters.web.pages.security_headers import same_origin
from broker.core.consent.consent import TOKEN_VALID_FOR
from broker.core.errors import FormRefused, TokenRefused
from broker.core.lookup_hmacs import LookupHmacs

_SECONDS: Final = re.compile(r"[0-9]{1,11}")


class FormOwner(Protocol):
    """What a form belongs to: a transaction, or the session of somebody of the staff."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def browser(self) -> str | None:
        """The pseudonym of the browser that it is bound to."""
        ...

    @property
    def arrival(self) -> str | None:
        """The pseudonym of the login that it stands on, where it outlives one."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class SubmittedForm:
    """The fields of a form, and the digest of what its page showed."""

    fields: MultiDict[str, str]
    shown: str = ""

    def value(self, name: str, default: str | None = None) -> str:
        """Return the value of ``name``; FormRefused if repeated, or absent without a default."""
        values = self.values(name)
        if len(values) > 1:
            raise FormRefused(f"field {name} repeated")
        if values:
            return values[0]
        if default is None:
            raise FormRefused(f"field {name} missing")
        return default

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """Return the value of ``name``, which must be among ``allowed``."""
        value = self.value(name)
        if value not in allowed:
            raise FormRefused(f"field {name} has a value that the page does not offer")
        return value

    def values(self, name: str) -> tuple[str, ...]:
        """Return every value of ``name``, as often as it was sent."""
        return tuple(self.fields.getlist(name))


@dataclass(frozen=True, slots=True)
class FormTokens:
    """Makes and verifies form tokens; ``base_url`` names the only origin whose forms count."""

    hmacs: LookupHmacs
    base_url: str

    def token(self, transaction: FormOwner, purpose: str, now: datetime, shown: str = "") -> str:
        """Return a token for one form, ``seconds~shown~digest``.

        ``shown`` is the digest of what the page shows.
        """
        seconds = str(int(now.timestamp()))
        digest = self._digest(transaction, purpose, shown, seconds)
        return f"{seconds}~{shown}~{digest}"

    def read(
        self, request: Request, transaction: FormOwner, purpose: str, now: datetime
    ) -> SubmittedForm:
        """Return the form's fields.

        TokenRefused unless the origin is ours and the token this form's, and fresh.
        """
        if not same_origin(request.headers, self.base_url):
            raise TokenRefused("a form from another origin")
        token = SubmittedForm(request.form).value("token", "")
        return SubmittedForm(request.form, self.verify(token, transaction, purpose, now))

    def verify(self, token: str, transaction: FormOwner, purpose: str, now: datetime) -> str:
        """Return what the page of ``token`` showed.

        TokenRefused unless the token is of this purpose and transaction, and fresh.
        """
        seconds, _, rest = token.partition("~")
        shown, _, digest = rest.partition("~")
        if not _SECONDS.fullmatch(seconds):
            raise TokenRefused("a token without a time")
        expected = self._digest(transaction, purpose, shown, seconds)
        if not hmac.compare_digest(digest.encode(), expected.encode()):
            raise TokenRefused("a token of another form, transaction or page")
        made = datetime.fromtimestamp(int(seconds), UTC)
        age = now - made
        if not -TOKEN_VALID_FOR < age < TOKEN_VALID_FOR:
            raise TokenRefused("a token older than ten minutes")
        return shown

    def _digest(self, transaction: FormOwner, purpose: str, shown: str, seconds: str) -> str:
        # arrival: a token shown before a new login of the same transaction is worthless after it.
        bound = (transaction.id, transaction.browser or "", transaction.arrival or "")
        return self.hmacs.of("form", *bound, purpose, shown, seconds)
