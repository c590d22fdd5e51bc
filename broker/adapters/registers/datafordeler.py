"""Looks persons up in the CPR register by Datafordeler's GraphQL service for public bodies."""

import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from broker.adapters.http_exchange import Exchange, HttpAnswer, moment
from broker.adapters.oauth_tokens import AccessTokens, Cause, OauthClient
from broker.adapters.registers import datafordeler_answer
from broker.adapters.registers.datafordeler_settings import DatafordelerKeys
from broker.core.borrowers.library_calls import LibraryCallObserver
from broker.core.borrowers.library_setup import SetupFault
from broker.core.borrowers.registered_person import (
    RegisteredPerson,
    RegisterError,
    RegisterRefused,
    RegisterUnavailable,
)

_SERVICE: Final = "CPRCustom_PublicSectorPerson"
# ``beskyttelser`` must be in every query, and no field may get another name in the answer.
_QUERY: Final = """
query ($numbers: [String!]!) {
  CPRCustom_PublicSectorPerson(input: {personnummer: {personnummer: {in: $numbers}}}) {
    nodes {
      status
      navne { fornavne mellemnavn efternavn status }
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


class Datafordeler:
    """The CPR register behind one IT system's access; safe to share between threads."""

    def __init__(self, keys: DatafordelerKeys, observe: LibraryCallObserver) -> None:
        self._keys = keys
        self._observe = observe
        certificate = keys.client_certificate
        self._service = Exchange(keys.url, keys.ca_file, certificate, RegisterUnavailable)
        self._path = f"/CPR/custom/PublicSector/{keys.version}"
        self._tokens = _tokens(keys, certificate)

    def look_up(self, cpr: str, deadline: datetime) -> RegisteredPerson | None:
        """Return what the register says of a CPR number; None where it knows no such number."""
        began = time.monotonic()
        outcome = "unavailable"
        try:
            nodes = self._nodes(cpr, moment(deadline, self._keys.timeout))
            person = _of_one(nodes)
            outcome = "done"
        except RegisterRefused:
            outcome = "refused"
            raise
        finally:
            self._observe("look_up", outcome, time.monotonic() - began)
        return person

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
    return datafordeler_answer.read(nodes[0])


def _tokens(keys: DatafordelerKeys, certificate: tuple[str, str] | None) -> AccessTokens:
    endpoint = urlsplit(keys.token_url)
    exchange = Exchange(
        f"https://{endpoint.netloc}", keys.ca_file, certificate, RegisterUnavailable
    )
    secret = keys.client_secret.get_secret_value()
    client = OauthClient(keys.client_id, secret, _NO_TOKEN, RegisterUnavailable)
    return AccessTokens(exchange, endpoint.path, client)


class DatafordelerSettings(DatafordelerKeys):
    """The settings type that the entry point names."""

    def open(self, observe: LibraryCallObserver) -> Datafordeler:
        """Return the register, of whose calls ``observe`` hears; nothing is called yet."""
        return Datafordeler(self, observe)
