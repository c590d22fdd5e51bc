"""Proves Koha's set-up by searches and by creates that Koha always rolls back; it writes nothing.

A create with an attribute type that does not exist is refused in any case, and Koha names a wrong
category, a wrong branch and a wrong attribute type before that one (docs/reference/koha.md#check).
"""

import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from string import ascii_uppercase
from typing import Any, Final

from broker.adapters.http_exchange import HttpAnswer, moment
from broker.adapters.library_systems import koha_refusals, koha_requests
from broker.adapters.library_systems.koha_requests import PATRONS, Calls
from broker.adapters.library_systems.koha_searches import PatronSearches
from broker.adapters.library_systems.koha_settings import FIELDS, KohaKeys
from broker.adapters.library_systems.setup_steps import UNAVAILABLE, Step, proved, unknown_fields
from broker.adapters.library_systems.sip2 import SETTING, TAKES_ANY, Sip2Client
from broker.core.borrowers.library_setup import ExpectedSetup, SetupFault
from broker.core.errors import LibraryRefused

# Ten digits that are no date, and no mark: asked for to see how the search answers.
_NOBODY: Final = "0000000000"
_OPERATION: Final = "prove"


class SetupProof:
    """One proof of what the policies expect of one Koha; every call ends by ``deadline``."""

    def __init__(
        self,
        calls: Calls,
        searches: PatronSearches,
        settings: KohaKeys,
        expected: ExpectedSetup,
        deadline: datetime,
        *,
        machine: Sip2Client | None = None,
    ) -> None:
        self._calls = calls
        self._searches = searches
        self._settings = settings
        self._expected = expected
        self._deadline = deadline
        self._machine = machine

    def faults(self) -> tuple[SetupFault, ...]:
        """Return every fault, once for each setting; the proof ends where Koha is unavailable."""
        steps: tuple[Step, ...] = (
            partial(unknown_fields, "Koha", self._expected, FIELDS),
            self._searching,
            self._changing,
            self._categories,
            self._machine_port,
        )
        return proved("Koha", steps, goes_on=("permission",))

    def _searching(self) -> Iterator[SetupFault]:
        self._searches.by_cpr(_NOBODY, self._deadline)
        self._searches.marked(_NOBODY, self._deadline)
        yield from ()

    def _changing(self) -> Iterator[SetupFault]:
        # No patron has number 0: with the right the answer is 404, without it 403, and nothing
        # changes in either case.
        path = f"{PATRONS}/0/password"
        empty = {"password": "", "password_2": ""}
        answer = self._calls.call(_OPERATION, "POST", path, self._deadline, body=empty)
        if answer.status != 404:
            raise koha_refusals.unavailable(answer, _OPERATION)
        yield from ()

    def _categories(self) -> Iterator[SetupFault]:
        for category, place in self._expected.categories.items():
            refusal = self._dry_run(category, _random())
            if refusal is None:
                continue
            sentence = f"Koha: {refusal}"
            if refusal.setting == f"category_id {category}":
                sentence = f"{place}: {sentence}"
            yield SetupFault(refusal.setting or UNAVAILABLE, sentence)

    def _dry_run(self, category: str, value: str) -> LibraryRefused | None:
        """Return why a borrower of this category cannot be made; None where it could.

        ``value`` is that of the attribute with the CPR, where the library has one.
        """
        impossible = _random()
        attributes = [{"type": impossible, "value": value}]
        if self._settings.cpr_attribute:
            attributes.insert(0, {"type": self._settings.cpr_attribute, "value": value})
        body = {
            "surname": "Dry run",
            "category_id": category,
            "library_id": self._settings.library_id,
            "extended_attributes": attributes,
        }
        answer = self._send_dry_run(body)
        if answer.status == 201:
            raise self._undone(answer)
        refusal = koha_refusals.refused(answer, _OPERATION, body)
        if refusal.setting == f"patron attribute type {impossible}":
            return None
        return refusal

    def _send_dry_run(self, body: Mapping[str, Any]) -> HttpAnswer:
        """Send a create that Koha rolls back; again where it answers 500.

        Beside the creates of others a deadlock answers so now and then.
        """
        headers = koha_requests.CREATE_HEADERS
        call = partial(self._calls.call, headers=headers, body=body)
        send = partial(call, _OPERATION, "POST", PATRONS, self._deadline)
        answer = send(also=500)
        return send() if answer.status == 500 else answer

    def _undone(self, answer: HttpAnswer) -> LibraryRefused:
        """Delete the patron of a Koha that takes attributes of no type, and return the error."""
        number = str(answer.fields().get("patron_id"))
        path = koha_requests.patron_path(number)
        self._calls.call(_OPERATION, "DELETE", path, self._deadline)
        sentence = f"{_OPERATION}: the dry run made patron {number}, which was deleted again"
        return LibraryRefused(sentence, "patron attribute types")

    def _machine_port(self) -> Iterator[SetupFault]:
        """Log in to the machine port and ask about a card number that nobody has."""
        if self._machine is None:
            return
        until = moment(self._deadline, self._settings.timeout)
        if self._machine.accepts(_random(), _random(), until):
            yield SetupFault(SETTING, f"Koha: {TAKES_ANY}")


def _random() -> str:
    """Return ten letters, the length of an attribute type; no library has such a one.

    Digits would be blotted out of the refusal by which it is known again.
    """
    return "".join(secrets.choice(ascii_uppercase) for _ in range(10))
