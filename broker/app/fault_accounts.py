"""What a command says of an error: what went wrong, where to look, and how to fix it."""

import traceback
from dataclasses import replace
from typing import Final

from broker.core.errors import BrokerError, ConfigurationFaults, Fault, NothingFound
from broker.core.ports import RecordUnreadable

_MENDS: Final = {
    "store_unavailable": (
        "see [store] url: its folder must be there and be yours to write, or its Redis answer"
    ),
    "library_unavailable": "see [library] url, and whether the library system is up",
}
_UNREADABLE: Final = (
    "it is damaged, or was written with a key or by a release that is not this broker's: put the"
    " key back, or the store as a backup has it"
)


def account(error: Exception) -> list[Fault]:
    """Return what went wrong, where to look and how to fix it.

    Of an error that no code foresaw the type only is named: its text and traceback may quote
    anything, a CPR number too.
    """
    if isinstance(error, ConfigurationFaults):
        return [_mended(fault) for fault in error.faults]
    if isinstance(error, NothingFound):
        return [Fault(error.about, str(error))]
    if isinstance(error, RecordUnreadable):
        return [Fault("a record of the store does not open", str(error), _UNREADABLE)]
    if isinstance(error, BrokerError):
        return [_mended(Fault(error.reason, str(error)))]
    if isinstance(error, OSError) and error.filename:
        return [Fault(str(error.filename), f"cannot be used: {error.strerror}")]
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file = frame.filename.rpartition("/")[2]
    kind = type(error).__name__
    what = f"{kind} at {file}:{frame.lineno}"
    return [Fault("unexpected", what, "please report this line")]


def _mended(fault: Fault) -> Fault:
    if fault.fix:
        return fault
    return replace(fault, fix=_MENDS.get(fault.where, ""))
