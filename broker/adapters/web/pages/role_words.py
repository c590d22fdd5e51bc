"""The roles that a person has at an institution, in words."""

from collections.abc import Iterable, Mapping
from typing import Final

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from broker.core.entities import Institution

# Attributes whose values are roles, with or without a scope (eduPerson 2.2.1, 2.2.11).
ATTRIBUTES: Final = frozenset(
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


def role_in_words(value: str, institutions: Iterable[Institution], language: str) -> str:
    """Return ``employee@au.dk`` as "employee at Aarhus University"; "" for a word unknown here.

    ``institutions`` are those whose names are known; a scope of none of them is named itself.
    """
    word, _at, scope = value.partition("@")
    role = _ROLES.get(word.lower())
    if role is None:
        return ""
    if not scope:
        return str(role)
    where = _institution(scope.lower(), institutions, language) or scope
    return str(_("%(role)s at %(institution)s", role=role, institution=where))


def _institution(scope: str, institutions: Iterable[Institution], language: str) -> str:
    for institution in institutions:
        if institution.label is None:
            continue
        label = institution.label[language]
        if scope in institution.scopes:
            return label
        if scope.endswith(tuple(f".{each}" for each in institution.scopes)):
            return f"{label} ({scope})"
    return ""
