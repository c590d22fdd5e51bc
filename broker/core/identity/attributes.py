"""From what an upstream wrote to what we call it: names, cardinality, syntax, scopes and the CPR, or not at all.

Which CPR number an institution asserted of a person: one, of a known kind, and only where it may say so.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from broker.core.entities import Assurance, Institution
from broker.core.errors import AttributesRefused
from broker.core.identity import cpr
from broker.core.identity.attribute_values import carries_cpr, clean, in_scope, level, matches

CPR_ATTRIBUTE: Final = "cpr"


def asserted_cpr(
    values: Iterable[str], institution: Institution, today: date, withheld: list[tuple[str, str]]
) -> tuple[str | None, str]:
    """Give the one CPR number and its kind; why there is none to use is added to ``withheld``.

    A value is bare or has the prefix of schacPersonalUniqueID. AttributesRefused where two differ,
    for choosing could pick another person's.
    """
    said = tuple(values)
    if said and CPR_ATTRIBUTE not in institution.may_assert:
        withheld.append((CPR_ATTRIBUTE, "may_not_assert"))
        return None, "none"
    numbers = {cpr.from_wire(value) or value for value in said if not _foreign(value)}
    if not numbers:
        return None, "none"
    if len(numbers) > 1:
        raise AttributesRefused("cpr_disagrees", CPR_ATTRIBUTE)
    kind = cpr.classify(number := numbers.pop(), today)
    if kind is cpr.CprKind.INVALID:
        withheld.append((CPR_ATTRIBUTE, "invalid"))
        return None, kind.value
    return number, "real" if kind is cpr.CprKind.REAL_WITHOUT_MODULUS_11 else kind.value


def _foreign(value: str) -> bool:
    """Say whether a schacPersonalUniqueID is another country's number: no CPR, and nothing we know how to read."""
    return value.casefold().startswith("urn:") and cpr.from_wire(value) is None


ASSURANCE: Final = "eduPersonAssurance"
EPPN: Final = "eduPersonPrincipalName"
CPR_UUID: Final = "cprUuid"
# What no upstream may say of a person: one comes from a proof, the others from the library system
# (design 5).
OURS: Final = frozenset({"kaldemail_domain", "borrower_number", "borrower_category"})

_COMPANY: Final = ("cvr", "rid")
_MOST: Final = (
    100  # values of one attribute: more is no person's, and every one is read, shown and kept
)


class Attributes(Mapping[str, tuple[str, ...]]):
    """Canonical attribute names and their values, frozen; its repr shows names only."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Take names and values; a name without values is left out."""
        self._values = {name: tuple(found) for name, found in (values or {}).items() if found}

    def __getitem__(self, name: str) -> tuple[str, ...]:
        """Give the values of ``name``; KeyError if there are none."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._values)

    def one(self, name: str) -> str | None:
        """Give the first value of ``name``, or None."""
        found = self._values.get(name)
        return found[0] if found else None

    def __repr__(self) -> str:
        """Show names only: values are personal."""
        return f"Attributes({', '.join(sorted(self._values))})"


@dataclass(frozen=True, slots=True, repr=False)
class WireAttribute:
    """One attribute as it stood in a verified assertion."""

    name: str
    values: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the name only: values are personal."""
        return f"WireAttribute({self.name!r})"


@dataclass(frozen=True, slots=True)
class MapRow:
    """One line of a map: a wire name, our name for it, and what its values must look like.

    ``friendly`` and ``prefix`` are for writing: the FriendlyName, and what stands before the value
    on the wire.
    """

    wire: str
    name: str
    single: bool = False
    pattern: str | None = None
    scope: str | None = None  # "exact", "sub", or None where values carry no scope
    identity: bool = False  # a fault in it refuses the login instead of withholding the value
    opaque: bool = (
        False  # a random id, in which a CPR-shaped run may be chance (cpr.looks_like_cpr)
    )
    friendly: str | None = None
    prefix: str = ""

    @property
    def name_format(self) -> str:
        """Give the NameFormat that goes with the wire name: uri for URNs and URLs, else basic (saml-core 8.2)."""
        return (
            f"urn:oasis:names:tc:SAML:2.0:attrname-format:{'uri' if ':' in self.wire else 'basic'}"
        )

    def written(self, value: str) -> str:
        """Give ``value`` as it goes on the wire."""
        return self.prefix + value


@dataclass(frozen=True, slots=True)
class AttributeMap:
    """One wire vocabulary, an upstream's or, where ``outgoing``, a service's."""

    name: str
    rows: tuple[MapRow, ...]
    outgoing: bool = False
    complete: bool = False  # whether names and date of birth are completed as WAYF completes them
    _by_wire: dict[str, MapRow] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_wire", {row.wire: row for row in self.rows})

    def reads(self, name: str) -> MapRow | None:
        """Find the row of a wire Name; FriendlyName and NameFormat never decide (attacks.md row 22)."""
        return self._by_wire.get(name)


def wire(attribute_map: AttributeMap, name: str) -> MapRow | None:
    """Find how a service that reads ``attribute_map`` wants our attribute ``name`` written; None if it does not."""
    return next((row for row in attribute_map.rows if row.name == name), None)


@dataclass(frozen=True, slots=True)
class AttributeReading:
    """What the upstream's attributes came to: the attributes, the assurance, and what was withheld and why.

    ``cpr`` is the kind of number found ("real", "replacement", "constructed", "invalid", "none"),
    the number itself ``attributes["cpr"]``; ``withheld`` holds (name, reason code), ``unknown``
    counts the names no map knows.
    """

    attributes: Attributes
    assurance: Assurance | None
    cpr: str
    age: int | None
    withheld: tuple[tuple[str, str], ...] = ()
    unknown: int = 0


def canonical(
    wire: Sequence[WireAttribute],
    map: AttributeMap,  # noqa: A002 - the word of the design
    institution: Institution,
    today: date,
) -> AttributeReading:
    """Read the attributes of a verified assertion of ``institution`` by the map of its verified issuer.

    AttributesRefused where an identity attribute is wrong or of another's scope, where two CPR
    numbers disagree, or where the person logged in for a company; every other fault withholds the
    value. Nothing is added and no value changed (design 5; attacks.md rows 21 and 22).
    """
    found, unknown = _gathered(wire, map)
    _refuse_companies(found)
    withheld: list[tuple[str, str]] = []
    numbers = found.pop(CPR_ATTRIBUTE, [])
    if found.get(CPR_UUID) and CPR_ATTRIBUTE not in institution.may_assert:
        del found[
            CPR_UUID
        ]  # it leads to a borrower as a CPR number does, so it takes the same leave to say it
        withheld.append((CPR_UUID, "may_not_assert"))
    kept = {name: _judged(name, pairs, institution, withheld) for name, pairs in found.items()}
    assurance, kept[ASSURANCE] = _assurance(kept.get(ASSURANCE, ()), institution, withheld)
    number, kind = asserted_cpr((value for _, value in numbers), institution, today, withheld)
    kept[CPR_ATTRIBUTE] = (number,) if number else ()
    return AttributeReading(
        attributes=Attributes(kept),
        assurance=assurance,
        cpr=kind,
        age=cpr.age(number, today) if number else None,
        withheld=tuple(dict.fromkeys(withheld)),
        unknown=unknown,
    )


_Found = dict[str, list[tuple[MapRow, str]]]


def _gathered(wire: Sequence[WireAttribute], attribute_map: AttributeMap) -> tuple[_Found, int]:
    """Put values under our names, empty ones and repetitions left out, and count the attributes no row knows."""
    found: _Found = defaultdict(list)
    unknown = 0
    for attribute in wire:
        row = attribute_map.reads(attribute.name)
        if row is None:
            unknown += 1
            continue
        known = {value for _, value in found[row.name]}
        fresh = (
            value
            for value in dict.fromkeys(attribute.values)
            if value.strip() and value not in known
        )
        found[row.name] += [(row, value) for value in fresh]
    return found, unknown


def _refuse_companies(found: _Found) -> None:
    """Refuse a login for a company: its CVR number names no person, and its RID an employee (nemid.md)."""
    names = [value for name in (EPPN, "uid") for _, value in found.get(name, ())]
    if any(found.get(name) for name in _COMPANY) or any(
        name.casefold().startswith("cvr:") for name in names
    ):
        raise AttributesRefused("company_identity")


def _judged(
    name: str,
    pairs: list[tuple[MapRow, str]],
    institution: Institution,
    withheld: list[tuple[str, str]],
) -> tuple[str, ...]:
    kept = []
    identity = any(row.identity for row, _ in pairs)
    if len(pairs) > (1 if any(row.single for row, _ in pairs) else _MOST):
        if identity:
            raise AttributesRefused("several_values", name)
        withheld.append((name, "several_values"))
        return ()
    for row, value in pairs:
        fault = _fault(row, value, institution)
        if fault is None:
            kept.append(value)
        elif identity:
            # An eppn that is a CPR number refuses too: as the key of links it would be kept, and
            # sent on.
            raise AttributesRefused(fault, name)
        else:
            withheld.append((name, fault))
    return tuple(kept)


def _fault(row: MapRow, value: str, institution: Institution) -> str | None:
    if not clean(value) or not matches(value, row.pattern):
        return "bad_value"
    if carries_cpr(value, opaque=row.opaque):
        return "cpr_shaped"
    return None if in_scope(value, row.scope, institution.scopes) else "scope_mismatch"


def _assurance(
    values: tuple[str, ...], institution: Institution, withheld: list[tuple[str, str]]
) -> tuple[Assurance | None, tuple[str, ...]]:
    """Give the lowest level asserted, capped by what the institution is good for; values above the cap stay here."""
    levels = {value: level(value) for value in values}
    lowest = min((each for each in levels.values() if each is not None), default=None)
    kept = tuple(
        value for value, each in levels.items() if each is None or each <= institution.max_assurance
    )
    if len(kept) < len(values):
        withheld.append((ASSURANCE, "above_cap"))
    return (None if lowest is None else min(lowest, institution.max_assurance)), kept
