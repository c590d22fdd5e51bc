"""Reads the Subject of an AuthnRequest, the person whom the service expects, as a hint.

By saml-core 3.4.1 we may answer only for the person that the Subject names. A NameID of the format
persistent or transient, as we issue them, demands a particular person. Such a request is refused,
because we cannot guarantee who logs in. An email or unspecified NameID is a hint: Entra ID, AD FS
and Google write what the person typed at the service. It fills in a field of the upstream's page
(docs/reference/interop.md#subject-hint).
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
    """Return whether the Subject of a request demands a person, and is more than a hint."""
    subject = request.subject
    if subject is None:
        return False
    if subject.name_id is None or len(subject.children_with_values()) > 1:
        return True
    return (subject.name_id.format or UNSPECIFIED) not in _HINTS


def read_hint(request: samlp.AuthnRequest) -> SubjectHint | None:
    """Return the hint of a request, or None.

    Drop a hint that contains digits in the form of a CPR number: browsers, proxies and logs store
    the URL of an AuthnRequest by HTTP-Redirect (docs/reference/design.md#invariant-4).
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
