"""The values of the consent and notice page: labels, masked values and names, in three groups."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, Literal
from urllib.parse import urlsplit

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from broker.core.consent.disclosure import Disclosure, Item
from broker.core.entities import PERSISTENT, Institution, Service, Text, Upstream
from broker.core.identity.canonical_attributes import BORROWER_NUMBER
from broker.core.login.steps import Ask
from broker.core.login.transaction import Transaction
from broker.core.policy.model import NAME_ID

REVEALABLE_FOR: Final = timedelta(minutes=5)
_CPR: Final = "cpr"
_DOTS: Final = "••••"
_NUMBER_IN_DOTS: Final = "••••••-••••"
_CPR_NUMBER: Final = re.compile(r"\A([0-9]{6})([0-9]{4})\Z")

# The groups of the page: who you are, how to reach you, what you are.
Group = Literal["who", "reach", "role"]
_TO_REACH: Final = frozenset(
    {"mail", "mobile", "street", "postalAddress", "postalCode", "localityName", NAME_ID}
)
_OF_ROLE: Final = frozenset(
    {
        "eduPersonPrimaryAffiliation",
        "eduPersonAffiliation",
        "eduPersonScopedAffiliation",
        "eduPersonAssurance",
        "eduPersonEntitlement",
        "organizationName",
        "schacHomeOrganization",
        "schacHomeOrganizationType",
        "schacPersonalUniqueCode",
        "isMemberOf",
        "ou",
        "kaldemail_domain",
        "borrower_category",
        "oioCvrNumberIdentifier",
        "cvr",
    }
)
# Attributes whose values are roles, with or without a scope (eduPerson 2.2.1, 2.2.11).
_ROLE_ATTRIBUTES: Final = frozenset(
    {"eduPersonScopedAffiliation", "eduPersonAffiliation", "eduPersonPrimaryAffiliation"}
)
_ROLES: Final[Mapping[str, LazyString]] = {
    "student": _("student"),
    "employee": _("employee"),
    "faculty": _("teacher or researcher"),
    "staff": _("technical or administrative staff"),
    "member": _("student, employee or the like"),
    "affiliate": _("associated person"),
    "alum": _("former student"),
    "library-walk-in": _("library visitor"),
}
# Other values in words, by attribute; any other value is shown as it is.
_VALUES: Final[Mapping[str, Mapping[str, LazyString]]] = {
    "eduPersonAssurance": {"substantial": _("substantial"), "high": _("high")},
    "preferredLanguage": {"da": _("Danish"), "en": _("English")},
}
# Attributes whose values need no label.
_PLAIN: Final = frozenset({"gn", "sn", "cn", "displayName", "mail", "eduPersonScopedAffiliation"})


@dataclass(frozen=True, slots=True, repr=False)
class ShownValue:
    """A value in words, and exactly as it is sent if that differs."""

    text: str
    exact: str = ""

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.text} ({self.exact})" if self.exact else self.text


@dataclass(frozen=True, slots=True, repr=False)
class DisclosureRow:
    """A row of the page.

    ``pending``: the value is made when the person continues. ``hidden``: the value is the library
    system's own number, which nobody types and no page shows. ``revealable``: a button shows the
    whole CPR number.
    """

    name: str
    label: str
    values: tuple[ShownValue, ...]
    why: str
    pending: bool = False
    hidden: bool = False
    revealable: bool = False

    @property
    def is_plain(self) -> bool:
        """Return whether the values speak for themselves, so that the page shows no label."""
        return bool(self.values) and self.name in _PLAIN

    @property
    def group(self) -> Group:
        """Return the group of the page in which the row stands."""
        if self.name in _TO_REACH:
            return "reach"
        return "role" if self.name in _OF_ROLE else "who"


@dataclass(frozen=True, repr=False)
class ConsentScreen:
    """Everything on the page that asks or informs (docs/reference/consent.md#screen).

    The page shows the disclosure's items, in order, and no others. ``upstream`` is the one by which
    the person logged in.
    """

    asked: Ask
    service: Service
    labels: Mapping[str, Text]
    language: str
    transaction: Transaction
    now: datetime
    upstream: Upstream | None = None

    @property
    def disclosure(self) -> Disclosure:
        """Return what would be sent."""
        return self.asked.question.disclosure

    @property
    def receiver(self) -> Text:
        """Return the name of the receiver: the controller, or the service if it has none."""
        receiver = self.disclosure.receiver
        return receiver.name if receiver else self.service.label

    @cached_property
    def rows(self) -> tuple[DisclosureRow, ...]:
        """Return the rows of what is sent in any case."""
        return tuple(self._row(item) for item in self.disclosure.items if not item.optional)

    @cached_property
    def choices(self) -> tuple[DisclosureRow, ...]:
        """Return the rows of what is sent if the person ticks it."""
        return tuple(self._row(item) for item in self.disclosure.items if item.optional)

    @property
    def authorities(self) -> tuple[str, ...]:
        """Return the names of the AuthenticatingAuthority of the assertion, in its order."""
        authentication = self.transaction.authentication
        chain = authentication.chain if authentication else ()
        return tuple(dict.fromkeys(map(self._name_authority, chain)))

    @property
    def origin(self) -> str:
        """Return where the information comes from; "" if the disclosure names no source."""
        if self.upstream and self.upstream.local:
            return str(_("your library account"))
        giver = self.disclosure.giver
        return giver.name[self.language] if giver else ""

    @property
    def makes_account(self) -> bool:
        """Return whether the library account is created when the person continues."""
        release = self.asked.decision.release
        return self._number is None and release is not None and release.borrower == "make"

    @property
    def is_persistent(self) -> bool:
        """Return whether the NameID is the same at each login."""
        return self.disclosure.name_id_format == PERSISTENT

    @property
    def is_by_address(self) -> bool:
        """Return whether the NameID is a mail address that a row shows.

        Otherwise it is an identifier that the broker makes.
        """
        return any(row.name == NAME_ID for row in self.rows)

    def is_other_address(self, address: str | None) -> bool:
        """Return whether a new account gets an ``address`` that no row shows."""
        shown = {value.text for row in (*self.rows, *self.choices) for value in row.values}
        return bool(address) and address not in shown

    @property
    def revealable(self) -> bool:
        """Return whether the page has the button for the whole CPR number."""
        return any(row.revealable for row in (*self.rows, *self.choices))

    @property
    def _number(self) -> str | None:
        account = self.transaction.account
        return account.number if account else None

    def _row(self, item: Item) -> DisclosureRow:
        is_number = item.name == BORROWER_NUMBER
        pending = not (item.values or (is_number and self._number))
        hidden = is_number and not pending
        is_cpr = item.name == _CPR
        values = () if hidden else item.values
        # The CPR number is masked whatever the policy says: no page source contains it
        # (docs/reference/design.md#invariant-4).
        if is_cpr:
            values = tuple(map(mask, values))
        label = self.labels.get(item.name)
        return DisclosureRow(
            item.name,
            label[self.language] if label else item.name,
            tuple(self._show_value(item.name, value) for value in values),
            item.why[self.language],
            pending,
            hidden,
            revealable=is_cpr and may_reveal(self.transaction, self.now),
        )

    def _show_value(self, name: str, value: str) -> ShownValue:
        words = str(_VALUES.get(name, {}).get(value.lower(), ""))
        if name in _ROLE_ATTRIBUTES:
            institutions = self.upstream.institutions if self.upstream else ()
            words = role_in_words(value, institutions, self.language)
        return ShownValue(words, value) if words else ShownValue(value)

    def _name_authority(self, entity_id: str) -> str:
        """Return the name of an identity provider: as configured, else the host of its id.

        An institution without a label has the name of its upstream.
        """
        upstream = self.upstream
        institution = upstream.institution(entity_id) if upstream else None
        if institution and institution.label:
            return institution.label[self.language]
        if upstream and (institution or entity_id == upstream.entity_id):
            return upstream.label[self.language]
        return urlsplit(entity_id).hostname or str(_("another login service"))


def may_reveal(transaction: Transaction, now: datetime) -> bool:
    """Return whether the whole CPR number may be shown.

    It is shown once, within five minutes of the login, and never on a shared computer.
    """
    arrived = transaction.authenticated
    if arrived is None or transaction.shared or transaction.number_shown:
        return False
    return now - arrived < REVEALABLE_FOR


def whole_number(disclosure: Disclosure) -> str | None:
    """Return the CPR number that would be sent, as people write it; None if none would.

    Use it only for the page that shows the number to its owner.
    """
    for item in disclosure.items:
        if item.name == _CPR:
            return _CPR_NUMBER.sub(r"\1-\2", item.values[0]) if item.values else None
    return None


def mask(value: str) -> str:
    """Return dots instead of a value; those for a CPR number have its shape.

    The first six digits are hidden too, because they are the date of birth.
    """
    return _NUMBER_IN_DOTS if _CPR_NUMBER.match(value) else _DOTS


def role_in_words(value: str, institutions: Iterable[Institution], language: str) -> str:
    """Return ``employee@au.dk`` as "employee at Aarhus University"; "" for an unknown role.

    ``institutions`` give their names. A scope that belongs to none of them is shown itself.
    """
    word, _at, scope = value.partition("@")
    role = _ROLES.get(word.lower())
    if role is None:
        return ""
    if not scope:
        return str(role)
    return str(
        _(
            "%(role)s at %(institution)s",
            role=role,
            institution=_name_institution(scope.lower(), institutions, language) or scope,
        )
    )


def _name_institution(scope: str, institutions: Iterable[Institution], language: str) -> str:
    for institution in institutions:
        if institution.label is None:
            continue
        label = institution.label[language]
        if scope in institution.scopes:
            return label
        if scope.endswith(tuple(f".{each}" for each in institution.scopes)):
            return f"{label} ({scope})"
    return ""
