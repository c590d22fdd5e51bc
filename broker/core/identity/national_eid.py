"""What the national eID's own assertion must say before anybody believes the rest: its version, a level, a person.

Sources: reference/nemid.md (OIOSAML 3.0 and newer), reference/attribute_table.yaml.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from broker.core.entities import Assurance, Upstream
from broker.core.errors import AttributesRefused
from broker.core.identity import cpr
from broker.core.identity.attribute_values import NSIS, level
from broker.core.identity.attributes import (
    ASSURANCE,
    CPR_ATTRIBUTE,
    AttributeReading,
    Attributes,
    WireAttribute,
)

PROFESSIONAL: Final = "https://data.gov.dk/model/core/eid/professional/"
BORN: Final = "schacDateOfBirth"
_VERSION: Final = re.compile(r"(OIO|DK)-SAML-([0-9]{1,3})\.([0-9]{1,3})(?:\.[0-9]{1,3})*")
# The oldest of each series whose names a map of ours knows; newer ones have changed no name
# (OIOSAML 4.0.0).
_OLDEST: Final = {"OIO": (3, 0), "DK": (2, 0)}
_PARTS: Final = ("ial", "aal")
_LOA: Final = "loa"
# What names a company under whatever profile's names: the last part of a Name, in small letters
# (OIOSAML 2 and WAYF).
_COMPANY: Final = frozenset(
    {
        "cvr",
        "rid",
        "cvrnumberidentifier",
        "ridnumberidentifier",
        "productionunitidentifier",
        "senumberidentifier",
    }
)
_EMPLOYEE: Final = re.compile(r"(?i)\b(CVR|RID):[0-9]{8}")


def check_eid_assertion(
    reading: AttributeReading,
    said: Sequence[WireAttribute],
    name_id: str | None,
    upstream: Upstream,
    today: date,
) -> AttributeReading:
    """Give the reading of a private person, completed, of a level that ``upstream`` takes.

    ``said`` is what stood in the assertion. AttributesRefused with ``company_identity`` for who
    logged in for a company, ``spec_version`` for an assertion of no version that we know or newer,
    ``level_missing`` without a level that we know, ``level_too_low`` below ``upstream.least``:
    whatever was asked, what came back decides.
    """
    _refuse_professionals(said, name_id)
    if not _known_version(reading.attributes.one("specVersion")):
        raise AttributesRefused("spec_version")
    found = _level(reading, said, upstream)
    if found is None:
        raise AttributesRefused("level_missing", ASSURANCE)
    if found < upstream.least:
        raise AttributesRefused("level_too_low", ASSURANCE)
    return replace(with_eid_attributes(reading, today), assurance=found)


def with_eid_attributes(reading: AttributeReading, today: date) -> AttributeReading:
    """Give the reading with names made of one another where one is absent, and the date of birth as WAYF writes it.

    A CPR number says the date of birth more surely than the attribute does; a date that no calendar
    has is withheld.
    """
    attributes, withheld = dict(reading.attributes), reading.withheld
    full, given, family = (reading.attributes.one(name) for name in ("cn", "gn", "sn"))
    if full is None and given and family:
        full = f"{given} {family}"
    first, _, last = (full or "").rpartition(" ")
    names = {"cn": full, "gn": given or first, "sn": family or last, "displayName": full}
    attributes |= {
        name: (value,) for name, value in names.items() if value and name not in attributes
    }
    if born := reading.attributes.one(BORN):
        when = _birth_date(reading.attributes.one(CPR_ATTRIBUTE), born, today)
        attributes[BORN] = (f"{when:%Y%m%d}",) if when else ()
        withheld = withheld if when else (*withheld, (BORN, "bad_value"))
    return replace(reading, attributes=Attributes(attributes), withheld=withheld)


def _refuse_professionals(said: Sequence[WireAttribute], name_id: str | None) -> None:
    """Refuse who logged in for a company, by whatever says so under whatever names, known to a map or not."""
    texts = [name_id or "", *(value for each in said for value in each.values)]
    claimed = {each.name for each in said if any(value.strip() for value in each.values)}
    if (
        (name_id or "").startswith(PROFESSIONAL)
        or any(name.startswith(PROFESSIONAL) for name in claimed)
        or not _COMPANY.isdisjoint(re.split("[:/]", name)[-1].casefold() for name in claimed)
        or any(_EMPLOYEE.search(text) for text in texts)
    ):
        raise AttributesRefused("company_identity")


def _known_version(written: str | None) -> bool:
    found = _VERSION.fullmatch(written or "")
    return found is not None and (int(found[2]), int(found[3])) >= _OLDEST[found[1]]


def _level(
    reading: AttributeReading, said: Sequence[WireAttribute], upstream: Upstream
) -> Assurance | None:
    """Give the lowest of what came, overall and in parts; the older scale only where it is configured, and alone.

    None where any of them came and is no level: one that cannot be read may have been the lowest.
    """
    came = {each.name.removeprefix(NSIS) for each in said} | {name for name, _ in reading.withheld}
    came |= set(reading.attributes)
    overall = reading.assurance
    if overall is None and upstream.assurance_level and came.isdisjoint({_LOA, ASSURANCE}):
        overall = level(reading.attributes.one("assuranceLevel") or "")
    parts = (
        value for name in _PARTS if name in came for value in reading.attributes.get(name, ("",))
    )
    found = [overall, *map(level, parts)]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None
    cap = max((each.max_assurance for each in upstream.institutions), default=Assurance.HIGH)
    return min(cap, *known)


def _birth_date(number: str | None, written: str, today: date) -> date | None:
    born = cpr.birth_date(number) if number else None
    if born:
        return born
    digits = written.replace("-", "")
    order = (
        (digits[4:], digits[2:4], digits[:2])
        if written[2:3] == "-"
        else (digits[:4], digits[4:6], digits[6:])
    )
    try:
        found = date(*map(int, order))
    except ValueError:
        return None
    return found if found <= today else None
