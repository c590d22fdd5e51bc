"""Wording of the report: release terms and time limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from babel.units import format_unit

from broker.adapters.translations.catalogue import translate
from broker.core.marked_text import mark as _
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import LegalBasis, NameIDKind, ProofRule
from broker.core.report.disclosures import ServiceDisclosure
from broker.core.retention import Retention

_BASES: Final[Mapping[LegalBasis, str]] = {
    "consent": _("Consent (GDPR article 6(1)(a))."),
    "public_task": _("A task in the public interest (GDPR article 6(1)(e))."),
    "legal_obligation": _("A legal obligation (GDPR article 6(1)(c))."),
    "contract": _("A contract with the person (GDPR article 6(1)(b))."),
}
_NAME_IDS: Final[Mapping[NameIDKind, str]] = {
    "persistent": _("A pseudonym for this service, the same at each login."),
    "transient": _("A number that is new at each login."),
    "email": _("The mail address that the person has shown to be their own."),
}
_TOLD: Final[Mapping[str, str]] = {
    "ask": _("People are asked before anything is sent, and may say no."),
    "inform": _("People are informed before anything is sent."),
}
_UPSTREAM: Final = _("People are informed on the page where they log in.")
_MADE: Final = _("The login makes or changes a library account where there is need.")
_UNCHANGED: Final = _("A library account is needed, and is left as it is.")
_NO_ACCOUNT: Final = _("No library account is looked for.")
_AFTER_MONTHS: Final = _("%(months)s months after the last login that renews it")
_DAY_OF_YEAR: Final = _("on day %(day)s of month %(month)s, if no login renews it")
_UNTIL: Final = _("%(domain)s (up to and including %(day)s)")


@dataclass(frozen=True, slots=True)
class ReleaseTerms:
    """The wording of release terms in one language."""

    language: str

    def describe_legal_basis(self, disclosure: ServiceDisclosure) -> str:
        """Return the legal basis."""
        return translate(_BASES[disclosure.release.legal_basis], self.language)

    def describe_name_id(self, disclosure: ServiceDisclosure) -> str:
        """Return the kind of identifier by which the service knows the person."""
        return translate(_NAME_IDS[disclosure.release.name_id], self.language)

    def describe_notice(self, disclosure: ServiceDisclosure) -> str:
        """Return whether people are asked or informed, and by whom."""
        said = [text for kind, text in _TOLD.items() if kind in disclosure.told]
        if "none" in disclosure.told and disclosure.release.notice == "upstream":
            said.append(_UPSTREAM)
        return " ".join(translate(text, self.language) for text in said)

    def describe_account(self, disclosure: ServiceDisclosure) -> str:
        """Return how the login affects the person's library account."""
        if disclosure.account:
            return translate(_MADE, self.language)
        found = _NO_ACCOUNT if disclosure.release.borrower == "none" else _UNCHANGED
        return translate(found, self.language)

    def describe_expiry(self, expires: Expiry) -> str:
        """Return when an account expires."""
        if expires.day_of_year is None:
            return translate(_AFTER_MONTHS, self.language) % {"months": expires.months}
        month, day = expires.day_of_year
        return translate(_DAY_OF_YEAR, self.language) % {"day": day, "month": month}

    def describe_mailboxes(self, disclosure: ServiceDisclosure, day: date) -> str:
        """Return the mailbox proofs that some people must give, each with its mail domains.

        Domains that no longer count on ``day`` are left out. A domain with an end date is shown
        with its last day.
        """
        rules = {proof.name: proof for proof in disclosure.policy.proofs}
        shown = (self._mailbox(name, rules.get(name), day) for name in sorted(disclosure.proofs))
        return "; ".join(shown)

    def _mailbox(self, name: str, rule: ProofRule | None, day: date) -> str:
        if rule is None:
            return name
        domains = []
        for domain in rule.domains:
            if domain.until is not None and domain.proves_on(day):
                values = {"domain": domain.name, "day": domain.until}
                domains.append(translate(_UNTIL, self.language) % values)
            elif domain.proves_on(day):
                domains.append(domain.name)
        listed = ", ".join(domains)
        return f"{name}: {listed}"


_UNITS: Final[Mapping[str, timedelta]] = {
    "year": timedelta(days=365),
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
}


def spell_limit(row: Retention, language: str) -> str:
    """Return how long a row of the retention table is kept: ``30 days``, ``1 year``.

    The unit is the largest one that gives a whole number.
    """
    span = row.lasts
    if span is None or row.end_in_words:
        return translate(row.end_in_words, language)
    for unit, length in _UNITS.items():
        count, rest = divmod(span, length)
        if count and not rest:
            return format_unit(count, f"duration-{unit}", locale=language)
    return format_unit(span.total_seconds(), "duration-second", locale=language)
