"""The steps of a proof of a library system's set-up, taken in turn until one finds it down."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from broker.core.borrowers.library_setup import ExpectedSetup, SetupFault
from broker.core.errors import LibraryError
from broker.files.checked_files import did_you_mean

UNAVAILABLE: Final = "unavailable"

Step = Callable[[], Iterable[SetupFault]]


def proved(
    system: str, steps: Iterable[Step], *, goes_on: tuple[str, ...]
) -> tuple[SetupFault, ...]:
    """Return every fault that the steps find, once for each setting.

    What is down, or lets nobody in, is one cause and not one for each step: the proof ends there,
    unless the setting at fault begins with one of ``goes_on``.
    """
    found: dict[str, SetupFault] = {}
    for step in steps:
        try:
            for fault in step():
                found.setdefault(fault.setting, fault)
        except LibraryError as error:
            setting = error.setting or UNAVAILABLE
            found.setdefault(setting, SetupFault(setting, f"{system}: {error}"))
            if not setting.startswith(goes_on):
                break
    return tuple(found.values())


def unknown_fields(
    system: str, expected: ExpectedSetup, fields: frozenset[str]
) -> Iterator[SetupFault]:
    """Yield a fault for each field of a policy that the system has not."""
    for field, place in expected.fields.items():
        if field not in fields:
            near = did_you_mean(field, fields)
            mend = near or f"fields: {', '.join(sorted(fields))}"
            sentence = f"{place}: {system} has no field {field!r} ({mend})"
            yield SetupFault(f"field {field}", sentence)
