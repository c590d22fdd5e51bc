"""The Subject of an AuthnRequest: whom the service expects, read and passed on as a hint only.

By saml-core 3.4.1 only the person whom it names could be asserted. A name that we issued is such a
demand, and is refused, for nobody is promised. A name that the person has elsewhere (Entra ID, AD
FS and Google write what was typed at the service) is a hint: it fills in a field of the upstream's
page, and is no claim of anybody (docs/reference/interop.md#subject-hint).
"""

from typing import Final

from saml2 import samlp

from broker.adapters.saml.messages.message_values import read_text
from broker.core.entities import EMAIL, UNSPECIFIED
from broker.core.identity import cpr
from broker.core.identity.accepted_text import TextKind, find_text_fault
from broker.core.login.transaction import SubjectHint

_HINTS: Final = frozenset((UNSPECIFIED, EMAIL))


def demands_person(request: samlp.AuthnRequest) -> bool:
    """Return whether a request has a Subject that is more than a hint: it could not be met."""
    subject = request.subject
    if subject is None:
        return False
    if subject.name_id is None or len(subject.children_with_values()) > 1:
        return True
    return (subject.name_id.format or UNSPECIFIED) not in _HINTS


def read(request: samlp.AuthnRequest) -> SubjectHint | None:
    """Return the hint of a request, or None.

    One that holds a CPR number, or a constructed one, is dropped: an AuthnRequest by HTTP-Redirect
    is an address, which browsers, proxies and logs keep (docs/reference/design.md#invariant-4).
    """
    if request.subject is None or demands_person(request):
        return None
    name_id = request.subject.name_id
    value = read_text(name_id).strip()
    if not value or find_text_fault(value, TextKind.NAME_ID):
        return None
    if cpr.mask_numbers(value, "") != value:
        return None
    return SubjectHint(value, name_id.format or UNSPECIFIED)
