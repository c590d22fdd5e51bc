"""Connectors of external systems: entry points, and settings that all of them have."""

import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import ClassVar, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from broker.configuration.checked_files import sentence
from broker.core.errors import ConfigurationFaults, Fault

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class ConnectorKeys(BaseModel):
    """The settings of all connectors.

    ``timeout`` limits a call, in seconds; ``ca_file`` is for a private authority.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    section: ClassVar[str]
    # The models of the tables below ``section``.
    tables: ClassVar[Mapping[str, type[BaseModel]]] = {}
    # The fix for a missing key without a default, instead of the list of keys.
    no_default: ClassVar[Mapping[str, str]] = {}

    timeout: float = Field(10.0, gt=0, le=60)
    ca_file: str = ""

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Return the settings. Raises ConfigurationFaults with all faults, which quote no value."""
        misfits: list[ErrorDetails] = []
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            misfits.extend(error.errors(include_input=False))
        # Raise outside ``except``: the error of pydantic holds the values, also secrets.
        raise ConfigurationFaults([cls._describe(misfit) for misfit in misfits])

    @classmethod
    def _describe(cls, misfit: ErrorDetails) -> Fault:
        path = [str(part) for part in misfit["loc"]]
        where = ".".join((cls.section, *path))
        unwritten = cls.no_default.get(path[0]) if len(path) == 1 else None
        if unwritten and misfit["type"] != "value_error":
            return Fault(where, "must be written", unwritten)
        keys = cls.tables.get(path[0] if path else "", cls).model_fields
        return Fault(where, sentence(misfit), f"keys: {', '.join(keys)}")


def check_address(url: str, *, loopback: bool = False) -> str:
    """Return an https address without its last slash. Raises ValueError for another text.

    With ``loopback``, http is accepted too if the host is this machine.
    """
    parts = urlsplit(url)
    is_local = loopback and parts.scheme == "http" and parts.hostname in LOOPBACK
    if parts.scheme != "https" and not is_local:
        raise ValueError("must be https: CPR numbers travel over it")
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be an address without user, query and fragment")
    return url.rstrip("/")


def settings_type(group: str, setting: str, system: str) -> object:
    """Return the object that the entry point ``system`` of ``group`` names.

    ConfigurationFaults at ``setting`` if no or several entry points have the name.
    """
    installed = _list_installed(group, tuple(sys.path))
    named = [entry for entry in installed if entry.name == system]
    if len({entry.value for entry in named}) != 1:
        what = f"no connector for {system!r}"
        if named:
            what = f"{len(named)} connectors are installed for {system!r}"
        names = sorted({entry.name for entry in installed})
        fix = f"installed: {', '.join(names) or 'none'}"
        raise ConfigurationFaults([Fault(setting, what, fix)])
    loaded: object = named[0].load()
    return loaded


@cache
def _list_installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:  # noqa: ARG001
    """Return the entry points of ``group`` in the packages on ``path``.

    The result is cached, because reading them is slow.
    """
    return tuple(entry_points(group=group))
