"""Reads the Subject of an AuthnRequest, the person whom the service expects, as a hint.

By saml-core 3.4.1 we may answer only for the person that the Subject names. A NameID that we issued
is such a demand and is refused: we cannot promise a person. A name from elsewhere (Entra ID, AD FS
and Google write what the person typed at the service) is a hint that fills in a field of the
upstream's page (docs/reference/interop.md#subject-hint).
"""

from typing import Final

from saml2 import samlp

from broker.adapters.saml.messages.message_values import read_text
from broker.core.entities import EMAIL, UNSPECIFIED
from broker.core.identity import cpr
from broker.core.identity.accepted_text import TextKind, find_text_fault
from broker.core.login.transaction import SubjectHint

_HINTS: Final = frozenset((UNSPECIFIED, EMAIL))


def has_demanded_person(request: samlp.AuthnRequest) -> bool:
    """Return whether the Subject of a request is more than a hint."""
    subject = request.subject
    if subject is None:
        return False
    if subject.name_id is None or len(subject.children_with_values()) > 1:
        return True
    return (subject.name_id.format or UNSPECIFIED) not in _HINTS


def read_hint(request: samlp.AuthnRequest) -> SubjectHint | None:
    """Return the hint of a request, or None.

    Drop a hint that contains a CPR number or a constructed one: browsers, proxies and logs keep the
    URL of an AuthnRequest by HTTP-Redirect (docs/reference/design.md#invariant-4).
    """
    if request.subject is None or has_demanded_person(request):
        return None
    name_id = request.subject.name_id
    value = read_text(name_id).strip()
    if not value or find_text_fault(value, TextKind.NAME_ID):
        return None
    if cpr.mask_numbers(value, "") != value:
        return None
    return SubjectHint(value, name_id.format or UNSPECIFIED)
