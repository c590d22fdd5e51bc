"""A simulated Serviceplatformen, written from the interface of SF1520.

It answers unknown numbers with a fault. It was never compared with the real service.
Source: docs/reference/cpr-register.md#sf1520.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from flask import Flask, Response, abort, request
from markupsafe import escape

from broker.demo.register.register_faults import RegisterFaults
from broker.demo.register.register_rows import RegisterRow

PATH: Final = "/service/CPR/PersonBaseDataExtended/5"
_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_SERVICE: Final = "http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/5/"
_FAULT: Final = "http://serviceplatformen.dk/xml/schemas/ServiceplatformFault/1/"
_ASKED: Final = re.compile(r"<(?:\w+:)?PNR[^>]*>([0-9]{10})</")
_MUNICIPALITY: Final = re.compile(r"<(?:\w+:)?MunicipalityCVR[^>]*>([0-9]{8})</")
_STATUSES: Final = {
    "bopael_i_danmark": 1,
    "bopael_i_danmark_hoej_vejkode": 3,
    "bopael_i_groenland": 5,
    "nedlagt_person": 60,
    "forsvundet": 70,
    "udrejst": 80,
    "doed": 90,
}
_NAMES_OF_NAME: Final = {"given": "fornavn", "middle": "mellemnavn", "surname": "efternavn"}
# In the order of the interface.
_ADDRESS_PARTS: Final = (
    "husnummer",
    "etage",
    "sidedoer",
    "conavn",
    "bynavn",
    "postnummer",
    "postdistrikt",
    "vejnavn",
    "vejadresseringsnavn",
)


@dataclass
class SimulatedServiceplatformen:
    """Its persons by number, the municipality with an agreement, the injected faults, and the look-ups so far."""

    rows: Mapping[str, RegisterRow]
    municipality: str = "12345678"
    faults: RegisterFaults = field(default_factory=RegisterFaults)
    looked_up: list[str] = field(default_factory=list)

    def answer(self, message: str) -> tuple[str, int]:
        """Return the envelope that answers a message, and its HTTP status."""
        asked, authority = _ASKED.search(message), _MUNICIPALITY.search(message)
        if asked is None:
            return _fault("BAD_REQUEST", "no PNR"), 500
        if authority is None or authority[1] != self.municipality:
            return _fault("NO_AGREEMENT", "no service agreement"), 500
        number = asked[1]
        self.looked_up.append(number)
        if self.faults.unknown or number not in self.rows:
            return _fault("NOT_FOUND", f"PNR not found: {number}"), 500
        row = self.rows[number]
        if self.faults.half_a_record:
            return _response(_address(row)), 200
        return _person(number, row), 200


def create_app(register: SimulatedServiceplatformen) -> Flask:
    """Return the service as a Flask application: its one look-up."""
    app = Flask(__name__)

    @app.post(PATH)
    def look_up() -> Response:
        faults = register.faults
        time.sleep(faults.slow)
        if faults.down:
            abort(503)
        if faults.quota_gone:
            abort(429)
        if faults.answer is not None:
            return Response(faults.answer, mimetype="text/xml")
        envelope, status = register.answer(request.get_data(as_text=True))
        return Response(envelope, status, mimetype="text/xml")

    return app


def _person(number: str, row: RegisterRow) -> str:
    persondata = (
        _element("personnummer", number),
        _element("gaeldendePersonnummer", row.later_number or number),
        _block("navn", *_name(row)),
        "<antalBoernUnder18>0</antalBoernUnder18>",
        _block("status", _element("status", str(_STATUSES.get(row.status, 10)))),
        *_protections(row),
    )
    return _response(_block("persondata", *persondata), _address(row))


def _response(*inner: str) -> str:
    answer = "".join(inner)
    return _envelope(f'<PersonLookupResponse xmlns="{_SERVICE}">{answer}</PersonLookupResponse>')


def _name(row: RegisterRow) -> list[str]:
    whole = " ".join(filter(None, (row.given, row.middle, row.surname)))
    parts = [_element(name, getattr(row, part)) for part, name in _NAMES_OF_NAME.items()]
    return [_element("personadresseringsnavn", whole), *parts]


def _protections(row: RegisterRow) -> list[str]:
    marked = _element("startdato", "2025-01-01") + _element("beskyttet", "true")
    found = []
    if row.is_protected:
        found.append(_block("adressebeskyttelse", marked))
    if "markedsfoering" in row.protections:
        found.append(_block("markedsfoeringsbeskyttelse", marked))
    return found


def _address(row: RegisterRow) -> str:
    if not row.address:
        return ""
    parts = [_element(part, row.address.get(part, "")) for part in _ADDRESS_PARTS]
    former = _block("adresseHistorik", _element("vejnavn", "Forladtvej"))
    return _block("adresse", _block("aktuelAdresse", *parts), former)


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>" if text else ""


def _block(name: str, *inner: str) -> str:
    return f"<{name}>{''.join(inner)}</{name}>"


def _fault(code: str, text: str) -> str:
    error = f"<ErrorCode>{code}</ErrorCode><ErrorText>{escape(text)}</ErrorText>"
    return _envelope(
        "<s:Fault><faultcode>s:Server</faultcode><faultstring>Fault</faultstring><detail>"
        f'<ServiceplatformFault xmlns="{_FAULT}"><ErrorList><Error>{error}</Error></ErrorList>'
        "</ServiceplatformFault></detail></s:Fault>"
    )


def _envelope(body: str) -> str:
    return f'<?xml version="1.0"?><s:Envelope xmlns:s="{_SOAP}"><s:Body>{body}</s:Body></s:Envelope>'
