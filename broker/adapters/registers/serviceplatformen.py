"""Looks persons up in the CPR register by Serviceplatformen's SF1520, for municipalities alone."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import zeep
from pydantic import AfterValidator, Field
from zeep.exceptions import Error as SoapError
from zeep.exceptions import Fault as SoapFault
from zeep.helpers import serialize_object
from zeep.transports import Transport

from broker.adapters.http_exchange import Exchange, moment
from broker.adapters.registers import serviceplatformen_answer
from broker.adapters.registers.register_keys import RegisterKeys, sound_address
from broker.core.borrowers.library_calls import LibraryCallObserver
from broker.core.borrowers.library_setup import SetupFault
from broker.core.borrowers.registered_person import (
    RegisteredPerson,
    RegisterError,
    RegisterRefused,
    RegisterUnavailable,
)

_WSDL: Final = Path(__file__).with_name("person_lookup.wsdl")
_BINDING: Final = (
    "{http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/5/}Person"
)
# Too short for a CPR number.
_CODE: Final = re.compile(r"[A-Z_]{1,40}|[A-Z_]{0,10}[0-9]{1,7}")
_PREFIX: Final = r"(?:[^\s<>/:!?]+:)?"
# Apart: one expression from the first to the last would read an answer of a thousand begins a
# thousand times, and everything else would stand still meanwhile.
_PERSON_BEGINS: Final = re.compile(f"<{_PREFIX}persondata")
_PERSON_ENDS: Final = re.compile(f"</{_PREFIX}persondata")
# A start tag, its name without the prefix.
_ELEMENT: Final = re.compile(f"<{_PREFIX}" + r"([^\s<>/:!?]+)")
_UNKNOWN: Final = "PNR not found"
# What the reader of the interface lets through: it reads a value by the type written beside it.
_UNREADABLE: Final = (
    SoapError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
)
# 500 carries the faults of SOAP 1.1, which are read.
_NOT_NOW: Final = frozenset({408, 425, 429, 502, 503, 504})


class ServiceplatformenSettings(RegisterKeys):
    """The keys of ``[person_register]`` with ``system = "serviceplatformen"``.

    ``municipality`` is the CVR number that the service agreement is made for.
    """

    url: Annotated[str, AfterValidator(sound_address)] = (
        "https://prod.serviceplatformen.dk/service/CPR/PersonBaseDataExtended/5"
    )
    municipality: str = Field(pattern=r"^[0-9]{8}$")
    certificate: str = Field(min_length=1)
    key: str = Field(min_length=1)

    def open(self, observe: LibraryCallObserver) -> "Serviceplatformen":
        """Return the register, of whose calls ``observe`` hears; nothing is called yet."""
        return Serviceplatformen(self, observe)


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer as zeep reads it."""

    status_code: int
    content: bytes
    headers: Mapping[str, str]
    encoding: str | None = None


class _BoundedTransport(Transport):
    """Sends by our own exchange, bounded in time and size; zeep's would log whole messages."""

    def __init__(self, exchange: Exchange, path: str, until: float) -> None:
        self._exchange = exchange
        self._path = path
        self._until = until
        self.answer = b""

    def __del__(self) -> None:
        """Close nothing: the exchange outlives the call."""

    def post(self, address: str, message: bytes, headers: Mapping[str, str]) -> _Reply:
        """Return the answer to one message; the address is the configured one."""
        del address
        wanted = {**headers, "Accept": "text/xml"}
        answer = self._exchange.call("POST", self._path, self._until, headers=wanted, body=message)
        if answer.status in _NOT_NOW:
            raise RegisterUnavailable(f"the register answered {answer.status}")
        if answer.status not in {200, 500}:
            what = f"the register answered {answer.status}: no service agreement lets us in"
            raise RegisterRefused(what, "person_register.certificate")
        self.answer = answer.body
        return _Reply(answer.status, answer.body, {"Content-Type": "text/xml"})


class Serviceplatformen:
    """The CPR register behind one municipality's service agreement; safe to share."""

    def __init__(self, keys: ServiceplatformenSettings, observe: LibraryCallObserver) -> None:
        self._keys = keys
        self._observe = observe
        address = urlsplit(keys.url)
        base = f"https://{address.netloc}"
        certificate = keys.client_certificate
        self._exchange = Exchange(base, keys.ca_file, certificate, RegisterUnavailable)
        self._path = address.path

    def look_up(self, cpr: str, deadline: datetime) -> RegisteredPerson | None:
        """Return what the register says of a CPR number; None where it knows no such number."""
        began = time.monotonic()
        outcome = "unavailable"
        try:
            person = self._person(cpr, moment(deadline, self._keys.timeout))
            outcome = "done"
        except RegisterRefused:
            outcome = "refused"
            raise
        finally:
            self._observe("look_up", outcome, time.monotonic() - began)
        return person

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

    def _person(self, cpr: str, until: float) -> RegisteredPerson | None:
        transport = _BoundedTransport(self._exchange, self._path, until)
        answer = self._answer(cpr, transport)
        if answer is None:
            return None
        return serviceplatformen_answer.read(answer, cpr, _named(transport.answer))

    def _answer(self, cpr: str, transport: _BoundedTransport) -> Mapping[str, Any] | None:
        """Return the elements of the answer, None for a number that is not known."""
        settings = zeep.Settings(strict=False, forbid_dtd=True, xsd_ignore_sequence_order=True)
        client = zeep.Client(str(_WSDL), transport=transport, settings=settings)
        service = client.create_service(_BINDING, self._keys.url)
        authority = {"MunicipalityCVR": self._keys.municipality}
        try:
            answer = service.PersonLookup(AuthorityContext=authority, PNR=cpr)
            return _elements(answer)
        except SoapFault as fault:
            known = _UNKNOWN not in _all_text(fault)
            what = f"the register answered with a fault: {_code(fault)}"
        except _UNREADABLE as error:
            known = True
            what = f"the answer is not as the interface has it: {type(error).__name__}"
        # Raised out here: the error of the reader holds the whole answer.
        if known:
            raise RegisterRefused(what)
        return None


def _named(answer: bytes) -> frozenset[str]:
    """Return the names of a person's elements as they were written, in small letters."""
    if b"\0" in answer:
        raise RegisterRefused("the answer is not written in UTF-8")
    text = answer.decode("utf-8", "replace").casefold()
    return frozenset(_ELEMENT.findall(_of_person(text)))


def _of_person(text: str) -> str:
    """Return what stands between the first begin of a person and the last end, "" for nothing."""
    begins = _PERSON_BEGINS.search(text)
    if begins is None:
        return ""
    ends = [found.start() for found in _PERSON_ENDS.finditer(text, begins.end())]
    return text[begins.end() : ends[-1]] if ends else ""


def _elements(answer: object) -> Mapping[str, Any]:
    elements = serialize_object(answer, dict)
    if not isinstance(elements, Mapping):
        raise TypeError
    return elements


def _all_text(fault: SoapFault) -> str:
    detail = fault.detail
    below = "".join(detail.itertext()) if hasattr(detail, "itertext") else ""
    return f"{fault.message or ''} {below}"


def _code(fault: SoapFault) -> str:
    """Return the ErrorCode of a fault; its text may repeat the number that was asked for."""
    detail = fault.detail
    if not hasattr(detail, "iter"):
        return "without a code"
    for element in detail.iter("{*}ErrorCode"):
        code = (element.text or "").strip()
        if _CODE.fullmatch(code):
            return code
    return "without a code"
