"""Looks persons up in the CPR register by Serviceplatformen's SF1520, for municipalities alone.

The service speaks SOAP 1.1. A value of another shape than the interface has is a refusal.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from lxml import etree
from pydantic import AfterValidator, Field

from broker.adapters.connectors import check_address
from broker.adapters.http_exchange import Exchange, moment
from broker.adapters.person_register.register_answers import (
    RegisterKeys,
    make_misshapen,
    observe_look_up,
    read_number,
    read_postal_code,
    read_text,
)
from broker.core.borrowers.library_system import LibraryCallObserver, SetupFault
from broker.core.borrowers.registered_person import (
    RegisteredAddress,
    RegisteredPerson,
    RegisterError,
    RegisterRefused,
    RegisterUnavailable,
    Residence,
    street_line,
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
# Too short for a CPR number.
_CODE: Final = re.compile(r"[A-Z_]{1,40}|[A-Z_]{0,10}[0-9]{1,7}")
_UNKNOWN: Final = "PNR not found"
# 500 carries the faults of SOAP 1.1, which are read.
_NOT_NOW: Final = frozenset({408, 425, 429, 502, 503, 504})
_RESIDENCES: Final = {
    "1": Residence.IN_DENMARK,
    "3": Residence.WITHOUT_USABLE_ADDRESS,
    "5": Residence.IN_GREENLAND,
    "7": Residence.IN_GREENLAND,
    "20": Residence.NEVER_RESIDENT,
    "30": Residence.ANNULLED,
    "50": Residence.NUMBER_CHANGED,
    "60": Residence.NUMBER_CHANGED,
    "70": Residence.DISAPPEARED,
    "80": Residence.ABROAD,
    "90": Residence.DEAD,
}
_WITH_ADDRESS: Final = frozenset({Residence.IN_DENMARK, Residence.IN_GREENLAND})
_TRUE: Final = frozenset({"true", "1", ""})
_FALSE: Final = frozenset({"false", "0"})
# Elements of protection that say nothing about name and address: directories and marketing.
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
        """Return the register, of whose calls ``observe`` hears; nothing is called yet."""
        return Serviceplatformen(self, observe)


class Serviceplatformen:
    """The CPR register behind one municipality's service agreement; safe to share."""

    def __init__(self, keys: Settings, observe: LibraryCallObserver) -> None:
        self._keys = keys
        self._observe = observe
        address = urlsplit(keys.url)
        base = f"https://{address.netloc}"
        certificate = keys.client_certificate
        self._exchange = Exchange(base, keys.ca_file, certificate, RegisterUnavailable)
        self._path = address.path

    def look_up(self, cpr: str, deadline: datetime) -> RegisteredPerson | None:
        """Return what the register says of a CPR number; None where it knows no such number."""
        asked = _write_request(self._keys.municipality, cpr)
        with observe_look_up(self._observe):
            until = moment(deadline, self._keys.timeout)
            answer = self._exchange.call("POST", self._path, until, headers=_HEADERS, body=asked)
            if answer.status in _NOT_NOW:
                raise RegisterUnavailable(f"the register answered {answer.status}")
            if answer.status not in {200, 500}:
                what = f"the register answered {answer.status}: no service agreement lets us in"
                raise RegisterRefused(what, "person_register.certificate")
            return read_answer(answer.body, cpr)

    def prove(self, deadline: datetime) -> tuple[SetupFault, ...]:
        """Return whether the service can be reached with our certificate; nobody is looked up.

        A GET of the service is no look-up: any answer but a refusal of the certificate will do.
        """
        until = moment(deadline, self._keys.timeout)
        try:
            self._exchange.call("GET", self._path, until, headers={"Accept": "text/xml"})
        except RegisterError as error:
            return (SetupFault(error.setting or "person_register.certificate", str(error)),)
        return ()


def _write_request(municipality: str, cpr: str) -> bytes:
    envelope = etree.Element(f"{_SOAP}Envelope")
    body = etree.SubElement(envelope, f"{_SOAP}Body")
    request = etree.SubElement(body, f"{{{_SERVICE}}}PersonLookupRequest")
    authority = etree.SubElement(request, f"{_AUTHORITY}AuthorityContext")
    etree.SubElement(authority, f"{_AUTHORITY}MunicipalityCVR").text = municipality
    etree.SubElement(request, _NUMBER).text = cpr
    return etree.tostring(envelope)


def read_answer(answer: bytes, asked: str) -> RegisteredPerson | None:
    """Return the person of the answer to a look-up of the number ``asked``; None for nobody.

    RegisterRefused for a fault, and where a value is not of the shape that the interface has, an
    element stands twice, the person is another, or no ``persondata`` is there. Source:
    docs/reference/cpr-register.md#sf1520.
    """
    body = _below(_parse(answer), "Body")
    fault = _below(body, "Fault")
    if fault is not None:
        if any(_UNKNOWN in str(each) for each in fault.itertext()):
            return None
        raise RegisterRefused(f"the register answered with a fault: {_code(fault)}")
    response = _below(body, "PersonLookupResponse")
    element = _below(response, "persondata")
    person = _row(element)
    if element is None or read_number(person, "personnummer") not in {"", asked}:
        raise make_misshapen("persondata")
    status = read_text(_row(_below(element, "status")), "status")
    residence = _RESIDENCES.get(status, Residence.NOT_UNDERSTOOD)
    if read_number(person, "gaeldendePersonnummer") not in {"", asked}:
        residence = Residence.NUMBER_CHANGED
    address = _below(_below(response, "adresse"), "aktuelAdresse")
    return RegisteredPerson(
        residence=residence,
        address=_address(_row(address)) if residence in _WITH_ADDRESS else None,
        protected=any(map(_protects, element.iter("{*}*"))),
    )


def _parse(answer: bytes) -> etree._Element:
    """Return the root of an answer. A document type could define what it likes: it is refused."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(answer, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    info: Any = root.getroottree().docinfo if root is not None else None
    # Raised out here: the error of the parser quotes the answer.
    if root is None or info.doctype:
        raise RegisterRefused("the answer is not as the interface has it")
    return root


def _address(row: Row) -> RegisteredAddress | None:
    if not row:
        return None
    road = read_text(row, "vejadresseringsnavn") or read_text(row, "vejnavn")
    parts = (read_text(row, part) for part in ("husnummer", "etage", "sidedoer"))
    return RegisteredAddress(
        care_of=read_text(row, "conavn"),
        street=street_line(road, *parts),
        place=read_text(row, "bynavn") or read_text(row, "lokalitet"),
        postal_code=read_postal_code(row, "postnummer"),
        city=read_text(row, "postdistrikt"),
    )


def _protects(element: etree._Element) -> bool:
    """Return whether an element says that name and address are protected.

    A kind that is not known protects too, and so does one whose mark is missing.
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


def _code(fault: etree._Element) -> str:
    """Return the ErrorCode of a fault; its text may repeat the number that was asked for."""
    codes = (str(element.text).strip() for element in fault.iter("{*}ErrorCode"))
    return next(filter(_CODE.fullmatch, codes), "without a code")


def _below(element: etree._Element | None, name: str) -> etree._Element | None:
    """Return the one element of this name below another; RegisterRefused for several."""
    if element is None:
        return None
    found = [each for each in element.iterchildren("{*}*") if _name(each) == name]
    if len(found) > 1:
        raise make_misshapen(name)
    return found[0] if found else None


def _row(element: etree._Element | None) -> Row:
    """Return the texts below an element by name; RegisterRefused where a name stands twice.

    An element that has others below it is no text.
    """
    row: dict[str, Any] = {}
    for each in element.iterchildren("{*}*") if element is not None else ():
        if _name(each) in row:
            raise make_misshapen(_name(each))
        row[_name(each)] = each if len(each) else each.text
    return row


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname
