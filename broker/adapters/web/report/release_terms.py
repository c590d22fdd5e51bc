"""The terms of a release entry in words, for pages and rows alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from broker.adapters.translations.catalogue import marked as _
from broker.adapters.translations.catalogue import translate
from broker.core.policy.model import LegalBasis, NameIDKind, ProofRule
from broker.core.report.what_leaves import Given

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
_UNTIL: Final = _("%(domain)s (up to and including %(day)s)")


@dataclass(frozen=True, slots=True)
class ReleaseTerms:
    """The words of one language."""

    language: str

    def basis(self, given: Given) -> str:
        """Return the legal basis."""
        return translate(_BASES[given.release.legal_basis], self.language)

    def name_id(self, given: Given) -> str:
        """Return what the service knows the person by."""
        return translate(_NAME_IDS[given.release.name_id], self.language)

    def told(self, given: Given) -> str:
        """Return whether people are asked or informed, and by whom."""
        said = [text for kind, text in _TOLD.items() if kind in given.told]
        if "none" in given.told and given.release.notice == "upstream":
            said.append(_UPSTREAM)
        return " ".join(translate(text, self.language) for text in said)

    def account(self, given: Given) -> str:
        """Return what becomes of the person's library account."""
        if given.account:
            return translate(_MADE, self.language)
        found = _NO_ACCOUNT if given.release.borrower == "none" else _UNCHANGED
        return translate(found, self.language)

    def mailboxes(self, given: Given, day: date) -> str:
        """Return the mailboxes that some people show, with the domains that prove something.

        Those that prove nothing on ``day`` any more are left out; of one that ends, with its last
        day.
        """
        rules = {proof.name: proof for proof in given.policy.proofs}
        shown = (self._mailbox(name, rules.get(name), day) for name in given.proofs)
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
