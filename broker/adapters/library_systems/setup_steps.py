"""Steps that check a library system's set-up, one after the other."""

from collections.abc import Callable, Iterable
from typing import Final

from broker.core.borrowers.library_setup import SetupFault
from broker.core.errors import LibraryError

UNAVAILABLE: Final = "unavailable"

Step = Callable[[], Iterable[SetupFault]]


def run_steps(
    system: str, steps: Iterable[Step], *, continue_after: tuple[str, ...]
) -> tuple[SetupFault, ...]:
    """Return every fault that the steps find, once for each setting.

    Stop at the first failed call, because the next steps would fail too. Continue if the setting at
    fault begins with one of ``continue_after``; every setting begins with "".
    """
    found: dict[str, SetupFault] = {}
    for step in steps:
        try:
            for fault in step():
                found.setdefault(fault.setting, fault)
        except LibraryError as error:
            setting = error.setting or UNAVAILABLE
            found.setdefault(setting, SetupFault(setting, f"{system}: {error}"))
            if not setting.startswith(continue_after):
                break
    return tuple(found.values())
