"""Checks the set-up of Alma by reads: identifier types, user groups, self-service machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from broker.adapters.library_systems.alma import alma_calls, alma_users
from broker.adapters.library_systems.alma.alma_calls import ALL_TYPES, Calls
from broker.adapters.library_systems.alma.alma_settings import BARCODE, AlmaKeys
from broker.adapters.library_systems.record_values import read_text
from broker.adapters.library_systems.setup_steps import run_steps
from broker.adapters.library_systems.sip2 import PinMachine, find_machine_faults
from broker.configuration.checked_files import did_you_mean
from broker.core.borrowers.library_setup import ExpectedSetup, SetupFault
from broker.core.errors import LibraryUnavailable

_OPERATION: Final = "check_setup"
_TABLES: Final = "/almaws/v1/conf/code-tables"
# An identifier that no user has: ten digits that contain no date.
_NONEXISTENT_CPR: Final = "0000000000"
_CONFIGURATION: Final = "library.api_key (Configuration: read)"


@dataclass(frozen=True, slots=True)
class SetupCheck:
    """Checks that Alma has what the policies need. Every call ends by ``deadline``."""

    calls: Calls
    settings: AlmaKeys
    expected: ExpectedSetup
    deadline: datetime
    machine: PinMachine | None

    def faults(self) -> tuple[SetupFault, ...]:
        """Return every fault, at most one for each setting; stop if Alma is unavailable."""
        machine = partial(find_machine_faults, self.machine, self.deadline)
        steps = (self._check_search, self._check_types, self._check_groups, machine)
        return run_steps("Alma", steps, continue_after=(_CONFIGURATION,))

    def _check_search(self) -> Iterator[SetupFault]:
        """Check that the API key may read users, by a search for a number that no user has.

        There is no fault to yield: a call that fails raises LibraryUnavailable.
        """
        path = alma_calls.make_user_path(_NONEXISTENT_CPR, ALL_TYPES)
        self.calls.call(_OPERATION, "GET", path, self.deadline, unless=alma_calls.NOT_FOUND)
        yield from ()

    def _check_types(self) -> Iterator[SetupFault]:
        types = self._code_table("UserIdentifierTypes")
        settings = self.settings
        named = {
            "cpr_identifier_type": settings.cpr_identifier_type,
            "card_number": BARCODE if settings.card_number == "cpr" else "",
            "number_identifier_type": settings.number_identifier_type,
            "user_name_identifier_type": settings.user_name_identifier_type,
        }
        for setting, kind in named.items():
            if kind and kind not in types:
                words = f"Alma has no user identifier type {kind} that is enabled"
                fix = did_you_mean(kind, types) or "types: " + ", ".join(sorted(types))
                yield SetupFault(f"library.{setting}", f"library.{setting}: {words} ({fix})")

    def _check_groups(self) -> Iterator[SetupFault]:
        if not self.expected.categories:
            return
        groups = self._code_table("UserGroups")
        for category, place in self.expected.categories.items():
            if category not in groups:
                near = did_you_mean(category, groups)
                fix = near or "groups: " + ", ".join(sorted(groups))
                sentence = f"{place}: Alma has no user group {category} ({fix})"
                yield SetupFault(f"user_group {category}", sentence)

    def _code_table(self, name: str) -> frozenset[str]:
        """Return the enabled codes of a table.

        Raises LibraryUnavailable if the key may not read it.
        """
        try:
            answer = self.calls.call(_OPERATION, "GET", f"{_TABLES}/{name}", self.deadline)
        except LibraryUnavailable as error:
            if error.setting != "library.api_key":
                raise
            words = "the API key may not read code tables, so types and groups were not checked"
            raise LibraryUnavailable(f"{_OPERATION}: {words}", _CONFIGURATION) from None
        rows = alma_users.list_entries(answer.get("row"))
        used = [row for row in rows if row.get("enabled") is not False]
        return frozenset(read_text(row, "code") or "" for row in used)
