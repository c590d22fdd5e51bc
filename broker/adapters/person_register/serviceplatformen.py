"""The CPR register through Serviceplatformen's SF1520 (SOAP 1.1), for municipalities only."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from lxml import etree
from pydantic import AfterValidator, Field

from broker.adapters.connectors import check_address
from broker.adapters.person_register.register_answers import (
    NOT_NOW,
    CprRegister,
    RegisterKeys,
    make_misshapen,
    make_person,
    open_exchange,
    read_number,
    read_text,
)
from broker.core.borrowers.library_setup import LibraryCallObserver
from broker.core.borrowers.registered_person import (
    DEAD,
    NOT_ACTIVE,
    NUMBER_CHANGED,
    RegisteredPerson,
    RegisterRefused,
    RegisterUnavailable,
)

_SERVICE: Final = "http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/5/"
_SOAP: Final = "{http://schemas.xmlsoap.org/soap/envelope/}"
_AUTHORITY: Final = "{http://serviceplatformen.dk/xml/schemas/AuthorityContext/1/}"
_NUMBER: Final = "{http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/}PNR"
_HEADERS: Final = {
    "Accept": "text/xml",
    "Content-Type": "text/xml; charset=utf-8",
    "SOAPAction": f'"{_SERVICE}PersonLookup"',
}
# An error code is too short to be a CPR number.
_CODE: Final = re.compile(r"[A-Z_]{1,40}|[A-Z_]{0,10}[0-9]{1,7}")
_UNKNOWN: Final = "PNR not found"
_WITH_ADDRESS: Final = frozenset({"1", "5", "7"})
# Other statuses of active numbers: an address that cannot be used, a person abroad.
_WITHOUT_ADDRESS: Final = frozenset({"3", "80"})
_NOTES: Final = {
    **dict.fromkeys(_WITH_ADDRESS | _WITHOUT_ADDRESS),
    "50": NUMBER_CHANGED,
    "60": NUMBER_CHANGED,
    "90": DEAD,
}
_TRUE: Final = frozenset({"true", "1", ""})
_FALSE: Final = frozenset({"false", "0"})
# Protections that do not cover name and address: directories and marketing.
_OTHER_PROTECTIONS: Final = frozenset({"vejviserbeskyttelse", "markedsfoeringsbeskyttelse"})
_PROTECTION: Final = "adressebeskyttelse"
_ABOUT_PROTECTION: Final = "beskyttelse"

Row = Mapping[str, Any]


class Settings(RegisterKeys):
    """The keys of ``[person_register]`` with ``system = "serviceplatformen"``.

    ``municipality`` is the CVR number that the service agreement is made for.
    """

    url: Annotated[str, AfterValidator(check_address)] = (
        "https://prod.serviceplatformen.dk/service/CPR/PersonBaseDataExtended/5"
    )
    municipality: str = Field(pattern=r"^[0-9]{8}$")
    certificate: str = Field(min_length=1)
    key: str = Field(min_length=1)

    def open(self, observe: LibraryCallObserver) -> "Serviceplatformen":
        """Return the register; ``observe`` gets its calls."""
        return Serviceplatformen(self, observe)


class Serviceplatformen(CprRegister):
    """The CPR register through one municipality's service agreement."""

    probed_setting = "person_register.certificate"

    def __init__(self, keys: Settings, observe: LibraryCallObserver) -> None:
        super().__init__(keys, observe)
        self._municipality = keys.municipality
        self._exchange = open_exchange(keys.url, keys)
        self._path = urlsplit(keys.url).path

    def _find(self, cpr: str, until: float) -> RegisteredPerson | None:
        request = _write_request(self._municipality, cpr)
        answer = self._exchange.call("POST", self._path, until, headers=_HEADERS, body=request)
        if answer.status in NOT_NOW:
            raise RegisterUnavailable(f"the register answered {answer.status}")
        # 500 carries the faults of SOAP 1.1.
        if answer.status not in {200, 500}:
            what = f"the register answered {answer.status}: no service agreement lets us in"
            raise RegisterRefused(what, self.probed_setting)
        return read_answer(answer.body, cpr)

    def _probe(self, until: float) -> None:
        # A GET is no look-up. Any answer shows that the certificate is accepted.
        self._exchange.call("GET", self._path, until, headers={"Accept": "text/xml"})


def _write_request(municipality: str, cpr: str) -> bytes:
    envelope = etree.Element(f"{_SOAP}Envelope")
    body = etree.SubElement(envelope, f"{_SOAP}Body")
    request = etree.SubElement(body, f"{{{_SERVICE}}}PersonLookupRequest")
    authority = etree.SubElement(request, f"{_AUTHORITY}AuthorityContext")
    etree.SubElement(authority, f"{_AUTHORITY}MunicipalityCVR").text = municipality
    etree.SubElement(request, _NUMBER).text = cpr
    return etree.tostring(envelope)


def read_answer(answer: bytes, asked: str) -> RegisteredPerson | None:
    """Return the person with the number ``asked``; None if the register does not know it.

    Raises RegisterRefused for a fault, a value that is not as documented, a repeated element,
    another person, or an answer without ``persondata``. Source:
    docs/reference/cpr-register.md#sf1520.
    """
    body = _below(_parse(answer), "Body")
    fault = _below(body, "Fault")
    if fault is not None:
        if any(_UNKNOWN in str(each) for each in fault.itertext()):
            return None
        raise RegisterRefused(f"the register answered with a fault: {_find_code(fault)}")
    response = _below(body, "PersonLookupResponse")
    element = _below(response, "persondata")
    person = _row(element)
    if element is None or read_number(person, "personnummer") not in {"", asked}:
        raise make_misshapen("persondata")
    status = read_text(_row(_below(element, "status")), "status")
    note = _NOTES.get(status, NOT_ACTIVE)
    if read_number(person, "gaeldendePersonnummer") not in {"", asked}:
        note = NUMBER_CHANGED
    address = _row(_below(_below(response, "adresse"), "aktuelAdresse"))
    addresses = [address] if address and note is None and status in _WITH_ADDRESS else []
    is_protected = any(map(_is_protection, element.iter("{*}*")))
    return make_person(note, addresses, protected=is_protected)


def _parse(answer: bytes) -> etree._Element:
    """Return the root of an answer. Raises RegisterRefused if it has a document type."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(answer, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    info: Any = root.getroottree().docinfo if root is not None else None
    # Raise outside ``except``: the parser's error quotes the answer.
    if root is None or info.doctype:
        raise RegisterRefused("the answer is not an XML message of the interface")
    return root


def _is_protection(element: etree._Element) -> bool:
    """Return whether an element says that name and address are protected.

    An unknown kind protects too, and so does one without its mark.
    """
    name = _name(element)
    kind = name.casefold()
    if _ABOUT_PROTECTION not in kind or kind in _OTHER_PROTECTIONS:
        return False
    if name != _PROTECTION:
        return True
    mark = read_text(_row(element), "beskyttet").casefold()
    if mark not in _TRUE | _FALSE:
        raise make_misshapen("beskyttet")
    return mark in _TRUE


def _find_code(fault: etree._Element) -> str:
    """Return the ErrorCode of a fault, whose text may repeat the CPR number."""
    codes = (str(element.text).strip() for element in fault.iter("{*}ErrorCode"))
    return next(filter(_CODE.fullmatch, codes), "without a code")


def _below(element: etree._Element | None, name: str) -> etree._Element | None:
    """Return the child element of this name. Raises RegisterRefused if there are several."""
    if element is None:
        return None
    found = [each for each in element.iterchildren("{*}*") if _name(each) == name]
    if len(found) > 1:
        raise make_misshapen(name)
    return found[0] if found else None


def _row(element: etree._Element | None) -> Row:
    """Return the texts of the children by name. Raises RegisterRefused if a name is repeated.

    A child that has children is no text.
    """
    row: dict[str, Any] = {}
    for each in element.iterchildren("{*}*") if element is not None else ():
        if _name(each) in row:
            raise make_misshapen(_name(each))
        row[_name(each)] = each if len(each) else each.text
    return row


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname
