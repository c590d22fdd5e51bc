"""The CPR register through Datafordeler's GraphQL service for public bodies."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from broker.adapters.connectors import check_address
from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.oauth_tokens import AccessTokens, Cause
from broker.adapters.person_register.register_answers import (
    NOT_NOW,
    CprRegister,
    RegisterKeys,
    make_misshapen,
    make_person,
    open_exchange,
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

_SERVICE: Final = "CPRCustom_PublicSectorPerson"
# Every query must ask for ``beskyttelser``, and must not rename a field.
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
# Protections that do not cover name and address: directories, marketing, credit.
_OTHER_PROTECTIONS: Final = frozenset({"lokal_vejviser", "markedsfoering", "kreditadvarsel"})
# The statuses of people with an address in Denmark or Greenland.
_WITH_ADDRESS: Final = frozenset(
    {"bopael_i_danmark", "bopael_i_groenland", "bopael_i_groenland_hoej_vejkode"}
)
# Other statuses of active numbers: a person abroad, or with an address that cannot be used.
_WITHOUT_ADDRESS: Final = frozenset({"bopael_i_danmark_hoej_vejkode", "udrejst"})
_NOTES: Final = {
    **dict.fromkeys(_WITH_ADDRESS | _WITHOUT_ADDRESS),
    "nedlagt_person": NUMBER_CHANGED,
    "doed": DEAD,
}

Row = Mapping[str, Any]


class Settings(RegisterKeys):
    """The keys of ``[person_register]`` with ``system = "datafordeler"``.

    An IT system may have ``client_secret`` instead of the certificate, or both. ``version`` is that
    of the GraphQL schema.
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
        """Return the register; ``observe`` gets its calls."""
        return Datafordeler(self, observe)


class Datafordeler(CprRegister):
    """The CPR register through one IT system's access."""

    def __init__(self, keys: Settings, observe: LibraryCallObserver) -> None:
        super().__init__(keys, observe)
        self._service = open_exchange(keys.url, keys)
        self._path = f"/CPR/custom/PublicSector/{keys.version}"
        tokens = open_exchange(keys.token_url, keys)
        self._tokens = AccessTokens(
            tokens,
            urlsplit(keys.token_url).path,
            keys.client_id,
            keys.client_secret,
            _NO_TOKEN,
            RegisterUnavailable,
        )

    def _find(self, cpr: str, until: float) -> RegisteredPerson | None:
        body = json.dumps({"query": _QUERY, "variables": {"numbers": [cpr]}}).encode()

        def post(authorization: str) -> HttpAnswer:
            headers = {"Authorization": authorization, "Content-Type": "application/json"}
            return self._service.call("POST", self._path, until, headers=headers, body=body)

        service = _read_data(self._tokens.send(post, until)).get(_SERVICE)
        if not isinstance(service, Mapping):
            raise RegisterRefused("the answer has no persons")
        nodes = list(_rows(service, "nodes", is_required=True))
        if len(nodes) > 1:
            raise RegisterRefused("the register answered with several persons for one number")
        return read_person(nodes[0]) if nodes else None

    def _probe(self, until: float) -> None:
        self._tokens.current(until)


def _read_data(answer: HttpAnswer) -> Mapping[str, Any]:
    """Return the data of an answer without errors.

    No error quotes the answer, because it may repeat the query's variables.
    """
    if answer.status in NOT_NOW or answer.status == 500:
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
    data = fields.get("data")
    if answer.status != 200 or not isinstance(data, Mapping):
        raise RegisterRefused(f"the register answered {answer.status} without persons")
    return data


def read_person(node: Row) -> RegisteredPerson:
    """Return the person of a node of an answer.

    Raises RegisterRefused if a field is not as documented: an address or its protection is never
    guessed. Source: docs/reference/cpr-register.md#graphql.
    """
    status = read_text(node, "status")
    addresses = _current_addresses(node) if status in _WITH_ADDRESS else ()
    note = _NOTES.get(status, NOT_ACTIVE)
    return make_person(note, addresses, protected=_is_protected(node))


def _current_addresses(node: Row) -> Iterator[Row]:
    for row in _rows(node, "adresseoplysninger"):
        address = row.get("cprAdresse")
        if read_text(row, "status") != _CURRENT or address is None:
            continue
        if not isinstance(address, Mapping):
            raise make_misshapen("cprAdresse")
        yield {**address, "conavn": row.get("conavn")}


def _is_protected(node: Row) -> bool:
    """Return whether name and address are protected now; an unknown kind or status protects too."""
    rows = _rows(node, "beskyttelser", is_required=True)
    current = (row for row in rows if read_text(row, "status") not in _ENDED)
    return bool({read_text(row, "beskyttelsestype") for row in current} - _OTHER_PROTECTIONS)


def _rows(node: Row, name: str, *, is_required: bool = False) -> Sequence[Row]:
    """Return the rows of a field. Raises RegisterRefused if it has another form."""
    rows = node.get(name)
    if rows is None and not is_required:
        return ()
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise make_misshapen(name)
    return rows
