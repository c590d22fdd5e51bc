"""Reads attribute_maps/: one map a wire vocabulary, and what people are shown each attribute called.

Whether the attribute map of each upstream reads what its profile demands, and its profile looks at what it reads.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from broker.core.entities import Text, Upstream
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.identity.attributes import OURS, AttributeMap, MapRow
from broker.core.login.authn_context import LOA
from broker.files.checked_yaml import Flag, Shape, line, validated
from broker.files.strict_yaml import YamlNode, read

LABELS: Final = "labels.yaml"


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression: {error.msg}") from None
    return pattern


class _Row(Shape):
    wire: str = Field(min_length=1)
    name: str = Field(min_length=1)
    single: Flag = False
    pattern: Annotated[str, BeforeValidator(_compiles)] | None = None
    scope: Literal["exact", "sub"] | None = None
    identity: Flag = False
    opaque: Flag = False
    friendly: str | None = None
    prefix: str = ""


class _Map(Shape):
    version: Literal["1"]
    face: Literal["upstream", "service"]
    complete: Flag = False
    attributes: tuple[_Row, ...] = Field(min_length=1)


class _Label(Shape):
    en: str = Field(min_length=1)
    da: str = Field(min_length=1)


class _Labels(Shape):
    version: Literal["1"]
    labels: dict[str, _Label]


@dataclass(frozen=True, slots=True)
class AttributeMaps:
    """Every map by its file's name without ``.yaml``, and the label of every attribute that one of them names."""

    maps: Mapping[str, AttributeMap]
    labels: Mapping[str, Text]

    @property
    def incoming(self) -> frozenset[str]:
        """Give the names of the upstreams' maps."""
        return frozenset(name for name, each in self.maps.items() if not each.outgoing)

    @property
    def attributes(self) -> frozenset[str]:
        """Give every name a policy may use: what some upstream's map yields, and what is ours to say."""
        return OURS | {
            row.name for each in self.maps.values() if not each.outgoing for row in each.rows
        }


def load(folder: Path) -> AttributeMaps:
    """Read ``folder``; ConfigurationFaults with everything wrong in any of its files."""
    faults: list[Fault] = []
    maps: dict[str, AttributeMap] = {}
    paths = [
        path
        for path in sorted(folder.glob("*.yaml"))
        if path.name != LABELS and path.name[0] != "."
    ]
    if not paths:
        raise ConfigurationFaults(
            [Fault(str(folder), "holds no attribute map", "name the folder in broker.toml")]
        )
    for path in paths:
        try:
            maps[path.stem] = _map(path, f"{folder.name}/{path.name}")
        except ConfigurationFaults as found:
            faults += found.faults
    labels: Mapping[str, Text] = {}
    try:
        labels = _labels(folder, {row.name for each in maps.values() for row in each.rows})
    except ConfigurationFaults as found:
        faults += found.faults
    if faults:
        raise ConfigurationFaults(faults)
    return AttributeMaps(maps, labels)


def _labels(folder: Path, names: Collection[str]) -> Mapping[str, Text]:
    where = f"{folder.name}/{LABELS}"
    node = _node(folder / LABELS, where)
    found = {
        name: Text(each.en, each.da)
        for name, each in validated(_Labels, node, where).labels.items()
    }
    missing = sorted(set(names) - found.keys())
    if missing:
        mend = "people are asked about attributes by these names"
        place = f"{where}:{line(node, ('labels',))}"
        raise ConfigurationFaults([Fault(place, f"no label for {', '.join(missing)}", mend)])
    return found


def _map(path: Path, where: str) -> AttributeMap:
    node = _node(path, where)
    read_map = validated(_Map, node, where)
    faults = list(_faults(read_map, node, where))
    if faults:
        raise ConfigurationFaults(faults)
    rows = tuple(MapRow(**each.model_dump()) for each in read_map.attributes)
    return AttributeMap(
        path.stem, rows, outgoing=read_map.face == "service", complete=read_map.complete
    )


def _faults(read_map: _Map, node: YamlNode, where: str) -> Iterator[Fault]:
    """Find what only shows across rows: a Name or an attribute twice, an upstream that asserts what is ours to say."""
    upstream = read_map.face == "upstream"
    if read_map.complete and not upstream:
        place = f"{where}:{line(node, ('complete',))}"
        yield Fault(place, "complete is for reading", "remove it from a service's map")
    key = "wire" if upstream else "name"
    often = Counter(getattr(each, key) for each in read_map.attributes)
    for at, row in enumerate(read_map.attributes):
        place = f"{where}:{line(node, ('attributes', at, key))}"
        if often[getattr(row, key)] > 1:
            yield Fault(place, f"{key} {getattr(row, key)!r} stands in two rows", "keep one")
        if upstream and row.name in OURS:
            mend = "it comes from a proof or from the library system, never from an upstream"
            yield Fault(place, f"an upstream cannot assert {row.name}", mend)
        if upstream and row.prefix:
            yield Fault(place, "prefix is for writing", "remove it from an upstream's map")


def _node(path: Path, where: str) -> YamlNode:
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise ConfigurationFaults([Fault(where, f"cannot be read: {error.strerror}")]) from None
    return read(octets, where)


# Without one of them everybody is refused: always, or once it comes and cannot be read
# (core/identity/national_eid.py).
_DEMANDED: Final = frozenset({"specVersion", "eduPersonAssurance", "ial", "aal", "cpr"})


def map_faults(upstreams: Iterable[Upstream], maps: AttributeMaps) -> Iterator[Fault]:
    """Find upstreams whose attributes nobody could read, or of which the national eID's level would be lost."""
    for each in upstreams:
        if each.local:
            continue
        where, named = f"upstreams.{each.name}.attribute_map", f"{each.attribute_map}.yaml"
        read = maps.maps.get(each.attribute_map)
        if read is None or read.outgoing:
            what = f"attribute_maps holds no {named} of an upstream"
            yield Fault(where, what, f"those are {', '.join(sorted(maps.incoming))}")
        elif each.profile == "oiosaml3":
            lost = sorted(_DEMANDED - {row.name for row in read.rows})
            if lost:
                what = f"{named} has no row for {', '.join(lost)}: everybody would be refused"
                yield Fault(where, what, "begin from the oiosaml3.yaml that is shipped")
        elif read.reads(LOA):
            # What such a map reads is looked at by that profile only: level, version, and no
            # identity of a company.
            what = f"{named} reads NSIS levels, which profile {each.profile} would hold nobody to"
            yield Fault(where, what, 'set profile = "oiosaml3", or name another map')
