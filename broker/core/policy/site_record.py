"""The site record: a digest of each part of a configuration that decides besides the policies."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Final

from broker.core.entities import Service, Upstream
from broker.core.identity.canonical_attributes import AttributeMap
from broker.core.policy.set_digest import changes

# The names of the guards: who may change what decides, and what no change may break.
SIGNERS: Final = "policy.signers"
RULES: Final = "policy_properties"
_EARLIER: Final = 16  # hexadecimal digits of a digest that earlier versions recorded
# What people read or follow decides nothing.
_LEFT_OUT: Final = frozenset({"label", "description", "privacy_notice", "url", "friendly"})
# What metadata says of itself, and a feed may change at any hour.
_OF_METADATA: Final = frozenset({"requires", "required", "subject_id_req", "unwritten", "_by_wire"})


def site_record(
    services: Mapping[str, Service],
    upstreams: Mapping[str, Upstream],
    maps: Mapping[str, AttributeMap],
    library: Mapping[str, object],
    guards: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Return the digest of each part, by its name in the configuration.

    ``services`` with whether they encrypt, ``upstreams`` with their institutions as they are
    written, ``library`` the settings of the library system that decide categories. ``guards`` are
    texts that decide no login and hold back changes: the list of those who may sign one, and the
    site rules. They are there so that whoever changes them is seen to.

    Source: docs/policies-in-force.md.
    """
    parts: dict[str, object] = {"library": library}
    parts |= {f"services.{name}": service for name, service in services.items()}
    parts |= {f"upstreams.{name}": upstream for name, upstream in upstreams.items()}
    parts |= {f"attribute_maps.{name}": wire_map for name, wire_map in maps.items()}
    parts |= guards
    return {name: _digest(part) for name, part in parts.items()}


def site_digest(record: Mapping[str, str]) -> str:
    """Return the digest over all parts of a site record."""
    return _digest(record)


def part_digest(part: object) -> str:
    """Return the digest of one part, as a site record has it."""
    return _digest(part)


def same_part(was: str | None, part: str | None) -> bool:
    """Return whether a part is what it was; earlier versions recorded the beginning of a digest."""
    if was is None or part is None:
        return was is part
    return was == part or (len(was) == _EARLIER and part.startswith(was))


def part_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return what differs between two site records, in words by name."""
    same = {name: part for name, part in after.items() if same_part(before.get(name), part)}
    return changes({**before, **same}, after)


def _digest(part: object) -> str:
    text = json.dumps(_plain(part), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    """Return a value of the core as JSON has it, the same in every worker: sets are sorted."""
    if is_dataclass(value):
        left_out = _LEFT_OUT | _OF_METADATA
        names = [field.name for field in fields(value) if field.name not in left_out]
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(map(str, value))
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, int | str | None):
        return value
    return repr(value)
