"""Looks persons up in the CPR register by Datafordeler's GraphQL service for public bodies."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from broker.adapters.connectors import check_address
from broker.adapters.http_exchange import Exchange, HttpAnswer, moment
from broker.adapters.oauth_tokens import AccessTokens, Cause, OauthClient
from broker.adapters.person_register.register_answers import (
    RegisterKeys,
    make_misshapen,
    observe_look_up,
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

_SERVICE: Final = "CPRCustom_PublicSectorPerson"
# ``beskyttelser`` must be in every query, and no field may get another name in the answer.
_QUERY: Final = """
query ($numbers: [String!]!) {
  CPRCustom_PublicSectorPerson(input: {personnummer: {personnummer: {in: $numbers}}}) {
    nodes {
      status
      adresseoplysninger {
        status
        cprAdresse {
          vejadresseringsnavn vejnavn husnummer etage sidedoer bynavn postnummer postdistrikt
        }
      }
      beskyttelser { beskyttelsestype status }
    }
  }
}
"""
_NOT_NOW: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_TOKEN: Final = {
    (400, "invalid_client"): Cause(
        "no IT system has the id {client_id}", "person_register.client_id"
    ),
    (401, "invalid_client"): Cause(
        "certificate or secret is not that of the IT system {client_id}",
        "person_register.certificate",
    ),
    (401, "unauthorized_client"): Cause(
        "certificate or secret is not that of the IT system {client_id}",
        "person_register.certificate",
    ),
}
_TOKEN_URL: Final = (
    "https://auth-oces.datafordeler.dk/realms/distribution/protocol/openid-connect/token"  # noqa: S105 - an address
)
_CURRENT: Final = "aktuel"
_ENDED: Final = frozenset({"historisk", "rettet", "fortrudt"})
# Kinds of protection that do not cover name and address: directories, marketing, credit.
_OTHER_PROTECTIONS: Final = frozenset({"lokal_vejviser", "markedsfoering", "kreditadvarsel"})
_RESIDENCES: Final = {
    "bopael_i_danmark": Residence.IN_DENMARK,
    "bopael_i_danmark_hoej_vejkode": Residence.WITHOUT_USABLE_ADDRESS,
    "bopael_i_groenland": Residence.IN_GREENLAND,
    "bopael_i_groenland_hoej_vejkode": Residence.IN_GREENLAND,
    "ej_bopael": Residence.NEVER_RESIDENT,
    "annulleret": Residence.ANNULLED,
    "nedlagt_person": Residence.NUMBER_CHANGED,
    "forsvundet": Residence.DISAPPEARED,
    "udrejst": Residence.ABROAD,
    "doed": Residence.DEAD,
}
_WITH_ADDRESS: Final = frozenset({Residence.IN_DENMARK, Residence.IN_GREENLAND})

Row = Mapping[str, Any]


class Settings(RegisterKeys):
    """The keys of ``[person_register]`` with ``system = "datafordeler"``.

    In the place of the certificate, or beside it, ``client_secret`` stands where the IT system has
    one. ``version`` is that of the GraphQL schema.
    """

    url: Annotated[str, AfterValidator(check_address)] = "https://graphql.datafordeler.dk"
    token_url: Annotated[str, AfterValidator(check_address)] = _TOKEN_URL
    version: str = Field("v1", pattern=r"^v[1-9][0-9]?$")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if not self.certificate and not self.client_secret.get_secret_value():
            raise ValueError("needs certificate and key, or client_secret")
        return self

    def open(self, observe: LibraryCallObserver) -> "Datafordeler":
        """Return the register, of whose calls ``observe`` hears; nothing is called yet."""
        return Datafordeler(self, observe)


class Datafordeler:
    """The CPR register behind one IT system's access; safe to share between threads."""

    def __init__(self, keys: Settings, observe: LibraryCallObserver) -> None:
        self._keys = keys
        self._observe = observe
        certificate = keys.client_certificate
        self._service = Exchange(keys.url, keys.ca_file, certificate, RegisterUnavailable)
        self._path = f"/CPR/custom/PublicSector/{keys.version}"
        self._tokens = _tokens(keys, certificate)

    def look_up(self, cpr: str, deadline: datetime) -> RegisteredPerson | None:
        """Return what the register says of a CPR number; None where it knows no such number."""
        with observe_look_up(self._observe):
            return _of_one(self._nodes(cpr, moment(deadline, self._keys.timeout)))

    def prove(self, deadline: datetime) -> tuple[SetupFault, ...]:
        """Return why no token is granted, if none is; nobody is looked up."""
        try:
            self._tokens.current(moment(deadline, self._keys.timeout))
        except RegisterError as error:
            return (SetupFault(error.setting or "person_register", str(error)),)
        return ()

    def _nodes(self, cpr: str, until: float) -> Any:
        body = json.dumps({"query": _QUERY, "variables": {"numbers": [cpr]}}).encode()
        token = self._tokens.current(until)
        answer = self._post(body, token, until)
        if answer.status == 401:
            answer = self._post(body, self._tokens.current(until, refused=token), until)
        fields = _understood(answer)
        service = (fields.get("data") or {}).get(_SERVICE)
        if not isinstance(service, Mapping):
            raise RegisterRefused("the answer has no persons")
        return service.get("nodes")

    def _post(self, body: bytes, token: str, until: float) -> HttpAnswer:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self._service.call("POST", self._path, until, headers=headers, body=body)


def _understood(answer: HttpAnswer) -> Mapping[str, Any]:
    """Return the fields of an answer without errors.

    The words of an error may repeat the query's variables: only those of ours are handed on.
    """
    if answer.status in _NOT_NOW:
        raise RegisterUnavailable(f"the register answered {answer.status}")
    if answer.status in {401, 403}:
        what = f"the register answered {answer.status}: the IT system may not use this service"
        raise RegisterRefused(what, "person_register.client_id")
    if answer.status == 404:
        what = "the register answered 404: no such version of the service"
        raise RegisterRefused(what, "person_register.version")
    fields = answer.fields()
    if fields.get("errors"):
        raise RegisterRefused("the register refused the query", "person_register.version")
    if answer.status != 200 or not isinstance(fields.get("data"), Mapping):
        raise RegisterRefused(f"the register answered {answer.status} without persons")
    return fields


def _of_one(nodes: Any) -> RegisteredPerson | None:
    if not isinstance(nodes, list) or not all(isinstance(node, Mapping) for node in nodes):
        raise RegisterRefused("the field nodes of the answer is not as documented")
    if len(nodes) > 1:
        raise RegisterRefused("the register answered with several persons for one number")
    if not nodes:
        return None
    return read_person(nodes[0])


def _tokens(keys: Settings, certificate: tuple[str, str] | None) -> AccessTokens:
    endpoint = urlsplit(keys.token_url)
    exchange = Exchange(
        f"https://{endpoint.netloc}", keys.ca_file, certificate, RegisterUnavailable
    )
    secret = keys.client_secret.get_secret_value()
    client = OauthClient(keys.client_id, secret, _NO_TOKEN, RegisterUnavailable)
    return AccessTokens(exchange, endpoint.path, client)


def read_person(node: Row) -> RegisteredPerson:
    """Return the person of one node of an answer.

    RegisterRefused where a field is not of the shape that the service documents: an address, or its
    protection, is never guessed. Source: docs/reference/cpr-register.md#graphql.
    """
    residence = _RESIDENCES.get(read_text(node, "status"), Residence.NOT_UNDERSTOOD)
    return RegisteredPerson(
        residence=residence,
        address=_address(node) if residence in _WITH_ADDRESS else None,
        protected=_is_protected(node),
    )


def _address(node: Row) -> RegisteredAddress | None:
    """Return the address in force; RegisterRefused where there are several: none is guessed."""
    name = "adresseoplysninger"
    rows = [row for row in _rows(node, name) if read_text(row, "status") == _CURRENT]
    addresses = {_written(row) for row in rows if row.get("cprAdresse") is not None}
    if len(addresses) > 1:
        raise make_misshapen(name)
    return addresses.pop() if addresses else None


def _written(row: Row) -> RegisteredAddress:
    written = row["cprAdresse"]
    if not isinstance(written, Mapping):
        raise make_misshapen("cprAdresse")
    road = read_text(written, "vejadresseringsnavn") or read_text(written, "vejnavn")
    parts = (read_text(written, part) for part in ("husnummer", "etage", "sidedoer"))
    return RegisteredAddress(
        care_of=read_text(row, "conavn"),
        street=street_line(road, *parts),
        place=read_text(written, "bynavn"),
        postal_code=read_postal_code(written, "postnummer"),
        city=read_text(written, "postdistrikt"),
    )


def _is_protected(node: Row) -> bool:
    """Return whether name and address are protected now; what is not known protects too.

    That goes for a kind, and for a status that is none of an ended protection.
    """
    if node.get("beskyttelser") is None:
        raise make_misshapen("beskyttelser")
    rows = [row for row in _rows(node, "beskyttelser") if read_text(row, "status") not in _ENDED]
    kinds = {read_text(row, "beskyttelsestype") for row in rows}
    return bool(kinds - _OTHER_PROTECTIONS)


def _rows(node: Row, name: str) -> Iterator[Row]:
    rows = node.get(name)
    if rows is None:
        return
    if not isinstance(rows, list):
        raise make_misshapen(name)
    for row in rows:
        if not isinstance(row, Mapping):
            raise make_misshapen(name)
        yield row
