"""Finds the connector of a system outside by its entry point; no other file reads entry points."""

import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from broker.core.errors import ConfigurationFaults, Fault


def settings_type(group: str, setting: str, system: str) -> object:
    """Return what the entry point ``system`` of ``group`` names.

    ConfigurationFaults at ``setting`` where none or several are installed under the name.
    """
    installed = _installed(group, tuple(sys.path))
    named = [entry for entry in installed if entry.name == system]
    if len({entry.value for entry in named}) != 1:
        what = f"no connector for {system!r}"
        if named:
            what = f"{len(named)} connectors are installed for {system!r}"
        names = sorted({entry.name for entry in installed})
        mend = f"installed: {', '.join(names) or 'none'}"
        raise ConfigurationFaults([Fault(setting, what, mend)])
    loaded: object = named[0].load()
    return loaded


@cache
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:  # noqa: ARG001
    """Return the entry points of ``group`` in the packages on ``path``, which is ``sys.path``.

    Each reading goes through every package; none is installed beside a process that runs.
    """
    return tuple(entry_points(group=group))
