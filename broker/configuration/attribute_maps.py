"""Read attribute_maps/: one map per vocabulary on the wire, and the labels of attributes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from broker.configuration.checked_files import Flag, Shape, line, validate_node
from broker.configuration.editor_schemas import JsonSchema, schema_of
from broker.configuration.strict_yaml import read_file
from broker.core.entities import Text, Upstream
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.identity.canonical_attributes import OURS, AttributeMap, MapRow
from broker.core.login.authn_context import LOA

LABELS: Final = "labels.yaml"
# Editors show these sentences about the two kinds of files.
_MAP: Final = "The names of attributes on the wire and our names for them, one pair a line."
_LABELS: Final = "What people are shown each attribute called."
# A map of the national eID needs all of these: without one, every login is refused, or those that
# carry it
# (core/identity/national_eid.py).
_NATIONAL_EID_ATTRIBUTES: Final = frozenset(
    {"specVersion", "eduPersonAssurance", "ial", "aal", "cpr"}
)


_Filled = Annotated[str, Field(min_length=1)]


def _check_our_name(name: str) -> str:
    """Refuse a name on the wire in place of our name: only names on the wire have a colon."""
    if ":" in name:
        raise ValueError(f"{name} is a name on the wire, not one of ours: write the two in turn")
    return name


def _check_read_name(name: str) -> str:
    """Refuse one of our own attributes: a proof or the library system yields it."""
    if name in OURS:
        raise ValueError(f"an upstream cannot assert {name}: remove the line")
    return name


_OurName = Annotated[_Filled, AfterValidator(_check_our_name)]
_ReadName = Annotated[_OurName, AfterValidator(_check_read_name)]


class MapShape(Shape):
    """One map: our names for what an upstream sends, or the names under which a service gets it."""

    reads: dict[_Filled, _ReadName] = Field(default_factory=dict)  # name on the wire: our name
    writes: dict[_OurName, _Filled] = Field(default_factory=dict)  # our name: name on the wire
    complete: Flag = False

    @model_validator(mode="after")
    def _has_one_direction(self) -> "MapShape":
        if bool(self.reads) == bool(self.writes):
            raise ValueError(
                "must have either reads, for what an upstream sends, or writes, for a service"
            )
        if self.complete and self.writes:
            raise ValueError("complete is for reading: remove it from a service's map")
        return self

    def rows(self) -> tuple[MapRow, ...]:
        """Return the rows of the map."""
        read = (MapRow(wire, name) for wire, name in self.reads.items())
        written = (MapRow(wire, name) for name, wire in self.writes.items())
        return (*read, *written)


class LabelShape(Shape):
    """The name of one attribute in both languages."""

    en: _Filled
    da: _Filled


class LabelsShape(Shape):
    """The file labels.yaml."""

    labels: dict[str, LabelShape]


@dataclass(frozen=True, slots=True)
class AttributeMaps:
    """Every map by its file's name without ``.yaml``, and the label of every attribute in them."""

    maps: Mapping[str, AttributeMap]
    labels: Mapping[str, Text]

    @property
    def incoming(self) -> frozenset[str]:
        """Return the names of the upstreams' maps."""
        return frozenset(name for name, each in self.maps.items() if not each.outgoing)

    @property
    def attributes(self) -> frozenset[str]:
        """Return every name a policy may use: what upstreams' maps yield, and the broker's own."""
        read = {row.name for name in self.incoming for row in self.maps[name].rows}
        return frozenset(read | OURS)


def map_schema() -> JsonSchema:
    """Return the JSON Schema of a map, as attribute_maps/attribute_map.schema.json holds it."""
    return schema_of(MapShape, _MAP)


def labels_schema() -> JsonSchema:
    """Return the JSON Schema of the labels, as attribute_maps/labels.schema.json holds it."""
    return schema_of(LabelsShape, _LABELS)


def load(folder: Path) -> AttributeMaps:
    """Read every map in ``folder``, and their labels.

    Raises ConfigurationFaults with all faults of all files.
    """
    paths = [path for path in sorted(folder.glob("[!.]*.yaml")) if path.name != LABELS]
    if not paths:
        fault = Fault(str(folder), "holds no attribute map", "name the folder in broker.toml")
        raise ConfigurationFaults([fault])
    faults: list[Fault] = []
    maps: dict[str, AttributeMap] = {}
    for path in paths:
        where = f"{folder.name}/{path.name}"
        try:
            written = validate_node(MapShape, read_file(path, where), where)
        except ConfigurationFaults as error:
            faults += error.faults
            continue
        maps[path.stem] = AttributeMap(
            path.stem,
            written.rows(),
            outgoing=bool(written.writes),
            completes_names=written.complete,
        )
    labels: Mapping[str, Text] = {}
    try:
        labels = _labels(folder, maps.values())
    except ConfigurationFaults as error:
        faults += error.faults
    if faults:
        raise ConfigurationFaults(faults)
    return AttributeMaps(maps, labels)


def _labels(folder: Path, maps: Iterable[AttributeMap]) -> Mapping[str, Text]:
    where = f"{folder.name}/{LABELS}"
    node = read_file(folder / LABELS, where)
    written = validate_node(LabelsShape, node, where).labels
    named = {row.name for wire_map in maps for row in wire_map.rows}
    missing = sorted(named - written.keys())
    if missing:
        place = f"{where}:{line(node, ('labels',))}"
        fix = "people are asked about attributes by these names"
        raise ConfigurationFaults([Fault(place, f"no label for {', '.join(missing)}", fix)])
    return {name: Text(label.en, label.da) for name, label in written.items()}


def map_faults(upstreams: Iterable[Upstream], maps: AttributeMaps) -> Iterator[Fault]:
    """Yield a fault for each upstream without a map, or with a map that its profile cannot use.

    Only profile ``oiosaml3`` reads the levels of the national eID.
    """
    for upstream in upstreams:
        if not upstream.local:
            yield from _upstream_faults(upstream, maps)


def _upstream_faults(upstream: Upstream, maps: AttributeMaps) -> Iterator[Fault]:
    where = f"upstreams.{upstream.name}.attribute_map"
    file = f"{upstream.attribute_map}.yaml"
    wire_map = maps.maps.get(upstream.attribute_map)
    if wire_map is None or wire_map.outgoing:
        what = f"attribute_maps holds no {file} of an upstream"
        known = ", ".join(sorted(maps.incoming))
        yield Fault(where, what, f"those are {known}")
    elif upstream.profile == "oiosaml3":
        names = {row.name for row in wire_map.rows}
        missing = ", ".join(sorted(_NATIONAL_EID_ATTRIBUTES - names))
        if missing:
            what = f"{file} has no row for {missing}: everybody would be refused"
            yield Fault(where, what, "begin from the oiosaml3.yaml that is shipped")
    elif wire_map.find_row(LOA):
        # Only profile oiosaml3 checks level and version, and that nobody logs in for a company.
        what = f"{file} reads NSIS levels, which profile {upstream.profile} would hold nobody to"
        yield Fault(where, what, 'set profile = "oiosaml3", or name another map')
