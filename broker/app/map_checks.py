"""Whether the attribute map of each upstream reads what its profile demands, and its profile looks at what it reads."""

from collections.abc import Iterable, Iterator
from typing import Final

from broker.core.entities import Upstream
from broker.core.errors import Fault
from broker.core.levels import LOA
from broker.files.attribute_maps import AttributeMaps

# Without one of them everybody is refused: always, or once it comes and cannot be read
# (core/eid.py).
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
