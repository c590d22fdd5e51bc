"""Values of SAML messages, read from pysaml2's objects and written as such."""

from collections.abc import Collection, Sequence
from typing import Final

from saml2 import SamlBase, saml, samlp

from broker.core.errors import MessageRefused, Status
from broker.core.logout.sessions import NameID

_TRUE: Final = frozenset(("true", "1"))
_ENTITY_FORMAT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"


def read_form(
    fields: Sequence[tuple[str, str]], message_fields: Collection[str], refusal: str
) -> dict[str, str]:
    """Return the fields of a posted form.

    Raises MessageRefused with the code ``refusal`` if a name occurs twice, or if not exactly one of
    ``message_fields`` is there. With two messages, one could be verified and the other one read.
    """
    form = dict(fields)
    if len(form) != len(fields) or len(form.keys() & set(message_fields)) != 1:
        raise MessageRefused(refusal)
    return form


def read_flag(written: str | None) -> bool:
    """Return the value of a flag; peers write 1, true, 0 and false.

    Source: docs/reference/interop.md#booleans.
    """
    return (written or "").strip() in _TRUE


def read_text(element: SamlBase | None) -> str:
    """Return the text of an element. The schemas allow only text in the elements that we read."""
    if element is None:
        return ""
    return str(element.text or "")


def read_issuer(issuer: saml.Issuer | None) -> str | None:
    """Return the entityID in an Issuer; None if there is none, or if it is no entityID."""
    if issuer is None or (issuer.format or _ENTITY_FORMAT) != _ENTITY_FORMAT:
        return None
    return read_text(issuer)


def read_status_codes(status: samlp.Status) -> tuple[str, ...]:
    """Return the codes of a status, top-level code first."""
    codes: list[str] = []
    code = status.status_code
    while code is not None:
        codes.append(str(code.value or ""))
        code = code.status_code
    return tuple(codes)


def make_status(status: Status) -> samlp.Status:
    """Return the element of a status."""
    second = samlp.StatusCode(value=status.second) if status.second else None
    return samlp.Status(status_code=samlp.StatusCode(value=status.top, status_code=second))


def read_name_id(element: saml.NameID) -> NameID:
    """Return a NameID as it was received."""
    return NameID(
        value=read_text(element),
        format=element.format,
        name_qualifier=element.name_qualifier,
        sp_name_qualifier=element.sp_name_qualifier,
        sp_provided_id=element.sp_provided_id,
    )


def make_name_id(name_id: NameID) -> saml.NameID:
    """Return the element of a NameID."""
    return saml.NameID(
        format=name_id.format,
        name_qualifier=name_id.name_qualifier,
        sp_name_qualifier=name_id.sp_name_qualifier,
        sp_provided_id=name_id.sp_provided_id,
        text=name_id.value,
    )
