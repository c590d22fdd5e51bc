"""The checks of a national eID's assertion: version, level, and a private person.

Sources: docs/reference/nemlog-in.md#oiosaml-3 (OIOSAML 3.0 and newer),
attribute_maps/oiosaml3.yaml.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from broker.core.entities import Assurance, Upstream
from broker.core.errors import AttributesRefused
from broker.core.identity import cpr
from broker.core.identity.attribute_values import NSIS, read_level
from broker.core.identity.canonical_attributes import (
    ASSURANCE,
    CPR_ATTRIBUTE,
    AttributeReading,
    Attributes,
    WireAttribute,
)

PROFESSIONAL: Final = "https://data.gov.dk/model/core/eid/professional/"
BORN: Final = "schacDateOfBirth"
_VERSION: Final = re.compile(r"(OIO|DK)-SAML-([0-9]{1,3})\.([0-9]{1,3})(?:\.[0-9]{1,3})*")
# The oldest version of each series whose names our maps know. Newer ones have changed no name
# (OIOSAML 4.0.0).
_OLDEST: Final = {"OIO": (3, 0), "DK": (2, 0)}
_PARTS: Final = ("ial", "aal")
_LEVEL_NAMES: Final = frozenset({"Low", "Substantial", "High"})
_LOA: Final = "loa"
# Attributes of a company in any profile: the last part of the Name, in lower case (OIOSAML 2 and
# WAYF).
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
    wire: Sequence[WireAttribute],
    name_id: str | None,
    upstream: Upstream,
) -> AttributeReading:
    """Return the reading of a private person at a level that ``upstream`` accepts.

    ``wire`` are the attributes of the assertion. Raises AttributesRefused with ``company_identity``
    for a login on behalf of a company, ``spec_version`` for an unknown old version,
    ``level_missing`` without a known level, and ``level_too_low`` below ``upstream.least``. Only
    the answer counts, whatever was requested.
    """
    _refuse_professionals(wire, name_id)
    if not _is_known_version(reading.attributes.one("specVersion")):
        raise AttributesRefused("spec_version")
    assurance = _level(reading, wire, upstream)
    if assurance is None:
        raise AttributesRefused("level_missing", ASSURANCE)
    if assurance < upstream.least:
        raise AttributesRefused("level_too_low", ASSURANCE)
    return replace(reading, assurance=assurance)


def complete_eid_attributes(reading: AttributeReading, today: date) -> AttributeReading:
    """Return the reading with missing names completed, and the birth date as WAYF writes it.

    The birth date of a CPR number is surer than the attribute. An impossible date is withheld.
    """
    attributes, withheld = dict(reading.attributes), reading.withheld
    for name, value in _complete_names(reading.attributes).items():
        if value:
            attributes.setdefault(name, (value,))
    written = reading.attributes.one(BORN)
    if written:
        born = _birth_date(reading.attributes.one(CPR_ATTRIBUTE), written, today)
        attributes[BORN] = (f"{born:%Y%m%d}",) if born else ()
        if born is None:
            withheld = (*withheld, (BORN, "bad_value"))
    return replace(reading, attributes=Attributes(attributes), withheld=withheld)


def _complete_names(attributes: Attributes) -> dict[str, str | None]:
    """Return the names of a person, those that are absent made of the others."""
    full = attributes.one("cn")
    given = attributes.one("gn")
    family = attributes.one("sn")
    if full is None and given and family:
        full = f"{given} {family}"
    first, _, last = (full or "").rpartition(" ")
    return {"cn": full, "gn": given or first, "sn": family or last, "displayName": full}


def _refuse_professionals(wire: Sequence[WireAttribute], name_id: str | None) -> None:
    """Refuse a login for a company, by whatever names it shows, known to a map or not."""
    subject = name_id or ""
    texts = [subject, *(value for attribute in wire for value in attribute.values)]
    names = [attribute.name for attribute in wire if any(map(str.strip, attribute.values))]
    professional = (
        subject.startswith(PROFESSIONAL),
        any(name.startswith(PROFESSIONAL) for name in names),
        any(map(_names_company, names)),
        any(map(_EMPLOYEE.search, texts)),
    )
    if any(professional):
        raise AttributesRefused("company_identity")


def _names_company(name: str) -> bool:
    last_part = re.split("[:/]", name)[-1]
    return last_part.casefold() in _COMPANY


def _is_known_version(written: str | None) -> bool:
    version = _VERSION.fullmatch(written or "")
    if version is None:
        return False
    series, major, minor = version.groups()
    return (int(major), int(minor)) >= _OLDEST[series]


def _level(
    reading: AttributeReading, wire: Sequence[WireAttribute], upstream: Upstream
) -> Assurance | None:
    """Return the lowest level that came, overall and in parts, capped at the institutions'.

    None if a level came that cannot be read, because it may have been the lowest.
    """
    sent = {attribute.name.removeprefix(NSIS): attribute.values for attribute in wire}
    if len(sent.get(_LOA, ())) > 1 or not _LEVEL_NAMES.issuperset(sent.get(_LOA, ())):
        return None
    names = set(sent)
    names |= {name for name, _ in reading.withheld}
    names |= set(reading.attributes)
    levels = [reading.assurance]
    for part in _PARTS:
        if part in names:
            levels += map(read_level, reading.attributes.get(part, ("",)))
    known = [found for found in levels if found is not None]
    if len(known) < len(levels):
        return None
    caps = (institution.max_assurance for institution in upstream.institutions)
    return min(max(caps, default=Assurance.HIGH), *known)


def _birth_date(number: str | None, written: str, today: date) -> date | None:
    """Return the birth date of the CPR number, else ``written``; None for a date in the future."""
    born = cpr.birth_date(number or "")
    if born:
        return born
    if written[2:3] == "-":
        written = "-".join(reversed(written.split("-")))  # 04-03-2004
    try:
        born = date.fromisoformat(written)
    except ValueError:
        return None
    return born if born <= today else None
