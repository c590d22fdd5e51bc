"""The attributes of an assertion, and the names under which people know them."""

from collections.abc import Mapping
from typing import Final

from lxml import etree

from broker.adapters.saml.xml_security import xml_names
from broker.configuration import attribute_maps
from broker.configuration.settings import new_folder

# The later map counts: a service reads another meaning into ``uid`` than WAYF.
_MAPS: Final = ("oiosaml3", "wayf", "library")


def _read_labels() -> Mapping[str, tuple[str, str]]:
    """Return the English and Danish labels by the names on the wire, long and short."""
    shipped = attribute_maps.load(new_folder.SHIPPED / "attribute_maps")
    labels = {}
    for name in _MAPS:
        for row in reversed(shipped.maps[name].rows):
            label = shipped.labels[row.name]
            labels[row.wire] = labels[row.friendly_name] = (label.en, label.da)
    return labels


LABELS: Final = _read_labels()


def read_attributes(root: etree._Element) -> dict[str, tuple[str, ...]]:
    """Return the values of all attributes below ``root`` by their short names."""
    attributes = {}
    for node in root.iter("{*}Attribute"):
        name = node.get("FriendlyName") or node.get("Name")
        values = node.iter(xml_names.ATTRIBUTE_VALUE)
        attributes[str(name)] = tuple(value.text or "" for value in values)
    return attributes
