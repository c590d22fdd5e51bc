"""An upstream's attributes under our names, after the checks of number, syntax, scope and CPR."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, NewType

from broker.core.entities import Assurance, Institution
from broker.core.errors import AttributesRefused
from broker.core.identity import cpr
from broker.core.identity.accepted_text import (
    TEXT_FAULTS,
    find_attribute_kind,
    find_scoped_text_fault,
    find_text_fault,
)
from broker.core.identity.attribute_properties import (
    AttributeProperties,
    find_properties,
    is_known_attribute,
)
from broker.core.identity.attribute_values import (
    AFFILIATIONS,
    is_in_scope,
    is_known_affiliation,
    is_match,
    is_value_within,
    lower_scope,
    read_level,
)
from broker.core.identity.rights import (
    NOT_REAL,
    NOT_USABLE,
    Ground,
    assume_cpr_ground,
    find_cpr_ground,
    find_ground_without_cpr,
    has_usable_cpr,
)

ASSURANCE: Final = "eduPersonAssurance"
BORROWER_NUMBER: Final = "borrower_number"
CPR_ATTRIBUTE: Final = "cpr"
CPR_UUID: Final = "cprUuid"
# Policies see this text instead of a CPR number: they depend on its presence and kind, never on its
# digits.
CPR_STAND_IN: Final = ("(a CPR number)",)
EPPN: Final = "eduPersonPrincipalName"
# Attributes that no upstream may assert: one comes from a proof, the others from the library system
# (docs/reference/design.md#5).
OURS: Final = frozenset({"kaldemail_domain", BORROWER_NUMBER, "borrower_category"})

_COMPANY: Final = ("cvr", "rid")
# Identifiers of the person: any fault in one refuses the login. Another identity attribute is only
# compared, and withheld if it cannot be.
_IDENTIFIERS: Final = frozenset({EPPN, "subject-id", "pairwise-id", CPR_UUID})
# The most values of one attribute, because each is read, shown and stored.
_MOST_VALUES: Final = 100
_NO_CPR: Final = "none"
_NAME_FORMAT: Final = "urn:oasis:names:tc:SAML:2.0:attrname-format:"

Values = tuple[str, ...]  # of one attribute
Withheld = list[tuple[str, str]]  # attribute name and reason code, in the order they were found


class Attributes(Mapping[str, Values]):
    """Canonical attribute names and their values, frozen. Its repr shows neither."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Values] | None = None) -> None:
        """Take names and values; a name without values is left out."""
        pairs = (values or {}).items()
        self._values = {name: tuple(of_name) for name, of_name in pairs if of_name}

    def __getitem__(self, name: str) -> Values:
        """Return the values of ``name``; KeyError if there are none."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._values)

    def one(self, name: str) -> str | None:
        """Return the first value of ``name``, or None."""
        values = self._values.get(name)
        return values[0] if values else None


@dataclass(frozen=True, slots=True, repr=False)
class WireAttribute:
    """An attribute as it stood in a verified assertion."""

    name: str
    values: Values


# FriendlyNames and prefixes of values, by the Name on the wire, where they differ from our names.
_PERSONAL_ID: Final = "urn:oid:1.3.6.1.4.1.25178.1.2.15"
_UID: Final = "urn:oid:0.9.2342.19200300.100.1.1"
_FRIENDLY_NAMES: Final = {_PERSONAL_ID: "schacPersonalUniqueID", _UID: "uid"}
_PREFIXES: Final = dict.fromkeys(
    (_PERSONAL_ID, "schacPersonalUniqueID"), "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"
)


@dataclass(frozen=True, slots=True)
class MapRow:
    """A row of a map: a wire name and our name for it."""

    wire: str
    name: str

    @property
    def properties(self) -> AttributeProperties:
        """Return the properties of the attribute, which no map can change."""
        return find_properties(self.name)

    @property
    def friendly_name(self) -> str:
        """Return the FriendlyName that is written in addition to the Name."""
        return _FRIENDLY_NAMES.get(self.wire, self.name)

    @property
    def name_format(self) -> str:
        """Return the NameFormat: uri for a URN or URL as name, else basic (saml-core 8.2)."""
        if ":" in self.wire:
            return f"{_NAME_FORMAT}uri"
        return f"{_NAME_FORMAT}basic"

    def write(self, value: str) -> str:
        """Return ``value`` as it goes on the wire."""
        return _PREFIXES.get(self.wire, "") + value


@dataclass(frozen=True, slots=True)
class AttributeMap:
    """A wire vocabulary: an upstream's or, if ``outgoing``, a service's."""

    name: str
    rows: tuple[MapRow, ...]
    outgoing: bool = False
    completes_names: bool = False  # names and date of birth too, as WAYF completes them
    _by_wire: dict[str, MapRow] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_wire", {row.wire: row for row in self.rows})

    def find_row(self, name: str) -> MapRow | None:
        """Find the row of a wire Name.

        FriendlyName and NameFormat never decide (docs/reference/attacks.md#22).
        """
        return self._by_wire.get(name)


def find_outgoing_row(attribute_map: AttributeMap, name: str) -> MapRow | None:
    """Find the row that writes our attribute ``name`` for a service; None if its map has none."""
    for row in attribute_map.rows:
        if row.name == name:
            return row
    return None


@dataclass(frozen=True, slots=True)
class AttributeReading:
    """The attributes of an upstream: what was accepted, what was withheld and why.

    ``cpr`` is the kind of number ("real", "replacement", "constructed", "invalid", "none").
    ``attributes["cpr"]`` is the number itself, and only there if it is usable. ``ground`` is the
    proof of identity. ``withheld`` holds (name, reason code). ``verified_address`` is known to be
    the person's.
    """

    attributes: Attributes
    assurance: Assurance | None
    cpr: str
    age: int | None
    withheld: tuple[tuple[str, str], ...] = ()
    verified_address: str | None = field(default=None, repr=False)
    ground: Ground = Ground.NOTHING

    def mask_cpr(self) -> "ReadingWithoutCpr":
        """Return the reading with ``CPR_STAND_IN`` where a CPR number stood."""
        attributes = self.attributes
        if CPR_ATTRIBUTE in attributes:
            attributes = Attributes(dict(attributes.items()) | {CPR_ATTRIBUTE: CPR_STAND_IN})
        return ReadingWithoutCpr(replace(self, attributes=attributes))


# The reading that policies may use. Only ``AttributeReading.mask_cpr`` makes one.
ReadingWithoutCpr = NewType("ReadingWithoutCpr", AttributeReading)


def read_attributes(
    wire: Sequence[WireAttribute],
    map: AttributeMap,  # noqa: A002 - the word of the design
    institution: Institution,
    today: date,
    named_affiliations: Collection[str] = (),
) -> AttributeReading:
    """Read the attributes of a verified assertion of ``institution`` by the map of its issuer.

    ``named_affiliations`` are those that a policy names in addition to eduPerson's own words.
    Raises AttributesRefused if an identifier is malformed, if an identity attribute has the scope
    of another institution, if two CPR numbers differ, or if the person logged in for a company.
    Other faults withhold the value. Only scopes are changed, to small letters
    (docs/reference/attacks.md#21).
    A caller must pass the result to ``drop_unusable_cpr`` once the assurance is known.
    """
    gathered = _gather(wire, map)
    _refuse_companies(gathered)
    withheld: Withheld = []
    numbers = gathered.pop(CPR_ATTRIBUTE, [])
    if gathered.get(CPR_UUID) and not _may_assert_uuid(institution):
        del gathered[CPR_UUID]
        withheld.append((CPR_UUID, "may_not_assert"))
    accepted = {}
    for name, values in gathered.items():
        accepted[name] = _accept(name, values, institution, withheld)
    _drop_unknown_affiliations(accepted, named_affiliations, withheld)
    asserted = accepted.get(ASSURANCE, ())
    assurance, accepted[ASSURANCE] = _limit_assurance(asserted, institution, withheld)
    if ASSURANCE not in gathered:
        assurance = find_stated_assurance(institution)
    number, kind = _read_cpr(numbers, institution, today, withheld)
    age = None
    if number:
        accepted[CPR_ATTRIBUTE] = (number,)
        age = cpr.compute_age(number, today)
    return AttributeReading(
        attributes=Attributes(accepted),
        assurance=assurance,
        cpr=kind,
        age=age,
        withheld=tuple(dict.fromkeys(withheld)),
    )


def drop_unusable_cpr(reading: AttributeReading, institution: Institution) -> AttributeReading:
    """Return the reading without a CPR number that is not usable.

    A real number that is not usable counts as not sent: ``cpr`` becomes "none". A replacement or
    constructed number keeps its kind in ``cpr``, because the person gets other advice.
    """
    ground = find_cpr_ground(institution, reading.assurance, list_affiliations(reading))
    return _apply_cpr_ground(reading, ground)


def assume_ground(reading: AttributeReading) -> AttributeReading:
    """Return the reading of a login that a policy example or the analysis describes.

    Its ground is that of a real login with these attributes. No institution is known, so a suitable
    one is assumed.
    """
    described = _apply_cpr_ground(
        reading, assume_cpr_ground(reading.assurance, list_affiliations(reading))
    )
    if has_usable_cpr(described.ground):
        return described
    attributes = described.attributes
    is_account = "borrower_category" in attributes
    ground = find_ground_without_cpr(
        attributes, is_library_account=is_account, has_persistent_name_id=False
    )
    return replace(described, ground=ground)


def list_affiliations(reading: AttributeReading) -> Iterator[str]:
    """Yield the values of all attributes for affiliations."""
    for name in AFFILIATIONS:
        yield from reading.attributes.get(name, ())


def _apply_cpr_ground(reading: AttributeReading, ground: Ground | None) -> AttributeReading:
    """Return the reading with its number if ``ground`` makes it usable, else without it."""
    if CPR_ATTRIBUTE not in reading.attributes:
        return reading
    code = NOT_REAL.get(reading.cpr)
    if ground is not None and code is None:
        return replace(reading, ground=ground)
    attributes = {name: of for name, of in reading.attributes.items() if name != CPR_ATTRIBUTE}
    return replace(
        reading,
        attributes=Attributes(attributes),
        cpr=reading.cpr if code else _NO_CPR,
        age=None,
        withheld=(*reading.withheld, (CPR_ATTRIBUTE, code or NOT_USABLE)),
    )


_Gathered = dict[str, list[str]]


def _gather(wire: Sequence[WireAttribute], attribute_map: AttributeMap) -> _Gathered:
    """Return the values under our names, without empty values and repetitions."""
    gathered: _Gathered = defaultdict(list)
    for attribute in wire:
        row = attribute_map.find_row(attribute.name)
        if row is None:
            continue
        known = gathered[row.name]
        values = attribute.values
        if row.properties.scope is not None:
            values = tuple(map(lower_scope, values))
        for value in dict.fromkeys(values):
            if value.strip() and value not in known:
                known.append(value)
    return gathered


def _may_assert_uuid(institution: Institution) -> bool:
    """Return whether a cprUuid of this institution is accepted: only the national eID's is.

    It leads to a borrower as a CPR number does, so asserting it needs the same permission.
    """
    return institution.national_eid and CPR_ATTRIBUTE in institution.may_assert


def _refuse_companies(gathered: _Gathered) -> None:
    """Refuse a login for a company: a CVR number names a company, a RID its employee.

    Source: docs/reference/nemlog-in.md#companies.
    """
    if any(map(gathered.get, _COMPANY)):
        raise AttributesRefused("company_identity")
    for name in (EPPN, "uid"):
        for value in gathered.get(name, ()):
            if value.casefold().startswith("cvr:"):
                raise AttributesRefused("company_identity")


def _accept(
    name: str, values: Sequence[str], institution: Institution, withheld: Withheld
) -> Values:
    """Return the values of one attribute that pass; a fault of an identity attribute refuses."""
    properties = find_properties(name)
    most = 1 if properties.single else _MOST_VALUES
    if len(values) > most:
        if properties.identity:
            raise AttributesRefused("several_values", name)
        withheld.append((name, "several_values"))
        return ()
    accepted = []
    for value in values:
        fault = find_value_fault(name, value, institution)
        if fault is None:
            accepted.append(value)
        elif properties.identity and (name in _IDENTIFIERS or fault not in TEXT_FAULTS):
            # An eppn that is a CPR number refuses too: it would be stored and sent to services.
            raise AttributesRefused(fault, name)
        else:
            withheld.append((name, fault))
    return tuple(accepted)


def find_value_fault(name: str, value: str, institution: Institution) -> str | None:
    """Return why a value of ``institution`` is not accepted; None if it is."""
    properties = find_properties(name)
    if properties.scope is None:
        bad_text = find_text_fault(value, find_attribute_kind(name))
    else:
        bad_text = find_scoped_text_fault(value)
    if bad_text:
        return bad_text
    if not is_match(value, properties.pattern):
        return "bad_value"
    # In an opaque id a run of digits that continues with letters is chance.
    if cpr.looks_like_cpr(value, apart=properties.opaque):
        return "cpr_shaped"
    # A value with @ may be an affiliation under a name of the site's own, so its scope counts.
    scope = "sub" if "@" in value and not is_known_attribute(name) else properties.scope
    if not is_in_scope(value, scope, institution.scopes):
        return "scope_mismatch"
    return None


def _drop_unknown_affiliations(
    accepted: dict[str, Values], named: Collection[str], withheld: Withheld
) -> None:
    for name in AFFILIATIONS:
        values = accepted.get(name, ())
        known = tuple(value for value in values if is_known_affiliation(value, named))
        if len(known) < len(values):
            accepted[name] = known
            withheld.append((name, "unknown_affiliation"))


def _limit_assurance(
    values: Values, institution: Institution, withheld: Withheld
) -> tuple[Assurance | None, Values]:
    """Return the lowest level asserted, at most the institution's cap, and the values up to it."""
    cap = institution.max_assurance
    kept = []
    known = []
    for value in dict.fromkeys(values):
        asserted = read_level(value)
        if asserted is not None:
            known.append(asserted)
        if is_value_within(value, cap):
            kept.append(value)
    if len(kept) < len(values):
        withheld.append((ASSURANCE, "above_cap"))
    if not known:
        return None, tuple(kept)
    return min(cap, *known), tuple(kept)


def find_stated_assurance(institution: Institution) -> Assurance | None:
    """Return the assurance that broker.toml states for logins without eduPersonAssurance.

    A level that came and cannot be read may be lower, so this does not apply to it. A national eID
    always asserts a level.
    """
    if institution.assurance is None or institution.national_eid:
        return None
    return min(institution.assurance, institution.max_assurance)


def _read_cpr(
    asserted: Sequence[str], institution: Institution, today: date, withheld: Withheld
) -> tuple[str | None, str]:
    """Return the one CPR number and its kind; add the reason for none to ``withheld``.

    A value is bare or has the prefix of schacPersonalUniqueID. Raises AttributesRefused if two
    differ, because a choice could pick another person's.
    """
    if asserted and CPR_ATTRIBUTE not in institution.may_assert:
        withheld.append((CPR_ATTRIBUTE, "may_not_assert"))
        return None, _NO_CPR
    danish = (value for value in asserted if not _is_foreign_number(value))
    numbers = {cpr.parse_unique_id(value) or value for value in danish}
    if not numbers:
        return None, _NO_CPR
    if len(numbers) > 1:
        raise AttributesRefused("cpr_disagrees", CPR_ATTRIBUTE)
    number = numbers.pop()
    kind = cpr.classify(number, today)
    if kind is cpr.CprKind.INVALID:
        withheld.append((CPR_ATTRIBUTE, "invalid"))
        return None, kind.value
    return number, kind.value


def _is_foreign_number(value: str) -> bool:
    """Return whether a schacPersonalUniqueID is another country's number."""
    if not value.casefold().startswith("urn:"):
        return False
    return cpr.parse_unique_id(value) is None
