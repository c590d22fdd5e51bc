"""The Subject of an AuthnRequest: whom the service expects, read and passed on as a hint only.

By saml-core 3.4.1 only the person whom it names could be asserted. A name that we issued is such a
demand, and is refused, for nobody is promised. A name that the person has elsewhere (Entra ID, AD
FS and Google write what was typed at the service) is a hint: it fills in a field of the upstream's
page, and is no claim of anybody (docs/reference/interop.md#subject-hint).
"""

from typing import Final

from lxml import etree

from broker.adapters.saml.faces.received_response import saml as path
from broker.adapters.saml.faces.received_response import text
from broker.core.entities import EMAIL, UNSPECIFIED, Upstream
from broker.core.identity import cpr
from broker.core.identity.accepted_text import TextKind, find_text_fault
from broker.core.login.transaction import AuthnRequest, SubjectHint

_SUBJECT: Final = path("Subject")
_NAME_ID: Final = path("NameID")
_HINTS: Final = frozenset((UNSPECIFIED, EMAIL))


def demands_person(request: etree._Element) -> bool:
    """Return whether a request has a Subject that is more than a hint: it could not be met."""
    subject = request.find(_SUBJECT)
    if subject is None:
        return False
    if [child.tag for child in subject] != [_NAME_ID]:
        return True
    return subject[0].get("Format", UNSPECIFIED) not in _HINTS


def read(request: etree._Element) -> SubjectHint | None:
    """Return the hint of a request, or None.

    One that holds a CPR number, or a constructed one, is dropped: an AuthnRequest by HTTP-Redirect
    is an address, which browsers, proxies and logs keep (docs/reference/design.md#invariant-4).
    """
    if demands_person(request):
        return None
    name_id = request.find(f"{_SUBJECT}/{_NAME_ID}")
    value = text(name_id).strip()
    if name_id is None or not value or find_text_fault(value, TextKind.NAME_ID):
        return None
    if cpr.mask_numbers(value, "") != value:
        return None
    return SubjectHint(value, name_id.get("Format", UNSPECIFIED))


def to_tell(asked: Upstream, request: AuthnRequest) -> SubjectHint | None:
    """Return the hint for our own AuthnRequest, or None where there is none.

    None too for an upstream that is not configured to be told: it might refuse such a request.
    """
    if not asked.subject_hint:
        return None
    return request.subject_hint
