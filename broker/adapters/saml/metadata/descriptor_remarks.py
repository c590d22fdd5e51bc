"""What is found while a descriptor is read: why it cannot be used, and what was passed over."""

from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from broker.adapters.saml.xml_security.algorithm_selection import DescriptorFaults

_MOST: Final = 20  # of one descriptor: a peer may write thousands, and all are somebody's to read


@dataclass(slots=True)
class Remarks:
    """The remarks on one descriptor.

    ``faults`` keep it from use; ``notices`` tell what was passed over beside something good.
    """

    faults: DescriptorFaults = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def fault(self, element: etree._Element, what: str, fix: str) -> None:
        """Add, once, what keeps the descriptor from use, with the place of ``element``."""
        fault = (f"{what} ({placed(element)})", fix)
        if len(self.faults) < _MOST and fault not in self.faults:
            self.faults.append(fault)

    def passed_over(self, element: etree._Element, what: str) -> None:
        """Add, once, what was passed over at ``element``."""
        notice = f"{what} ({placed(element)}), which is passed over"
        if len(self.notices) < _MOST and notice not in self.notices:
            self.notices.append(notice)


def placed(element: etree._Element) -> str:
    """Return the name of an element and its line in the file: ``KeyDescriptor, line 12``."""
    name = str(element.tag).rpartition("}")[2]
    return f"{name}, line {element.sourceline}"
