"""What must agree across keys, asked of the tree as written, so that these faults are told together with all others."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from broker.core.errors import Fault
from broker.core.login.authn_context import overstates
from broker.files.settings.toml_and_environment import Given, KeyPath, variable

SHORTEST_SECRET: Final = 16
# What examples, tutorials and tired people write; every length of them is refused.
OBVIOUS: Final = frozenset(
    {"", "changeme", "secret", "password", "default", "example", "test", "admin", "koha", "1234"}
)
_THEIR_OWN: Final = frozenset(
    {"saml", "oiosaml3"}
)  # profiles whose upstream is its own institution (design 4)
SECRET_KEYS: Final = ("secret", "password", "token", "api_key")

TomlTable = dict[str, Any]


def crosschecks(given: Given) -> tuple[Fault, ...]:
    """Give the faults of every check below; a table of the wrong shape is left to the types."""
    return tuple(fault for check in CHECKS for fault in check(given))


def _tables(given: Given, *place: str) -> Iterator[tuple[KeyPath, TomlTable]]:
    """Give the tables below a table: ``upstreams.wayf``, ``upstreams.nemid``."""
    level: Any = given.tree
    for part in place:
        level = level.get(part) if isinstance(level, dict) else None
    if isinstance(level, dict):
        yield from (
            ((*place, name), table) for name, table in level.items() if isinstance(table, dict)
        )


def _institutions(given: Given) -> Iterator[tuple[KeyPath, KeyPath, TomlTable]]:
    """Give each institution with its upstream's place and its own; one that is listed nowhere is its upstream's own."""
    for upstream, table in _tables(given, "upstreams"):
        listed = table.get("institutions")
        for index, each in enumerate(listed if isinstance(listed, list) else []):
            if isinstance(each, dict):
                yield upstream, (*upstream, "institutions", index), each
        if not listed and table.get("profile") in _THEIR_OWN:
            yield upstream, (*upstream, "entity_id"), {"entity_id": table.get("entity_id")}


def _texts(table: TomlTable, key: str) -> list[str]:
    listed = table.get(key)
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []


def _called(institution: TomlTable) -> list[str]:
    """Give every spelling an institution is known by."""
    entity_id = institution.get("entity_id")
    return [*([entity_id] if isinstance(entity_id, str) else []), *_texts(institution, "aliases")]


def _upstreams(given: Given) -> Iterator[Fault]:
    for place, table in _tables(given, "upstreams"):
        listed = [each for upstream, _, each in _institutions(given) if upstream == place]
        if table.get("profile") == "library" and (listed or "entity_id" in table):
            what = "profile library is the library account itself: it has no entity_id and no institutions"
            yield Fault(given.where(place), what, "leave them out")
        if table.get("profile") != "library" and "entity_id" not in table:
            what = f"write it there, or set {variable((*place, 'entity_id'))}"
            yield Fault(given.where((*place, "entity_id")), "is missing", what)
        if table.get("profile") == "wayf" and not listed:
            # A hub speaks for anyone: without the list, any institution could assert any scope
            # (invariant 2).
            what = (
                "profile wayf without institutions would believe every institution behind the hub"
            )
            yield Fault(given.where(place), what, "list institutions = [{entity_id, scopes}]")
        if table.get("profile") in _THEIR_OWN and any(
            each.get("entity_id") != table.get("entity_id") for each in listed
        ):
            what = "an upstream that is no hub is its own institution"
            yield Fault(
                given.where((*place, "institutions")),
                what,
                "list its own entity_id only, or set profile = wayf",
            )
        if table.get("profile") != "oiosaml3":
            yield from (
                Fault(
                    given.where((*place, key)),
                    f"is for profile oiosaml3, not {table.get('profile')}",
                    "leave it out",
                )
                for key in ("minimum", "assurance_level")
                if key in table
            )
        if table.get("profile") == "saml" and "attribute_map" not in table:
            yield Fault(
                given.where((*place, "attribute_map")),
                "is missing",
                "name a file of the attribute_maps folder",
            )


def _classes(given: Given) -> Iterator[Fault]:
    """Refuse a class said to be as good as one that is known to say more: no setting makes a second factor of it."""
    for place, table in _tables(given, "upstreams"):
        pin, meets = table.get("profile") == "library", table.get("authn_contexts")
        if not isinstance(meets, dict):
            continue
        for wanted in meets:
            less = [each for each in _texts(meets, wanted) if overstates(wanted, each, pin=pin)]
            if less:
                where = given.where((*place, "authn_contexts", wanted))
                what = f"{'a PIN' if pin else ', '.join(less)} is not as good as that"
                yield Fault(where, what, "leave it out, or name classes of at least that level")


def _only(given: Given) -> Iterator[Fault]:
    for place, table in _tables(given, "upstreams"):
        known = {
            name
            for upstream, _, each in _institutions(given)
            if upstream == place
            for name in _called(each)
        }
        for index, name in enumerate(_texts(table, "only")):
            if name not in known:
                what = f"{name} is none of this upstream's institutions"
                yield Fault(
                    given.where((*place, "only", index)),
                    what,
                    "add it to institutions, or correct it",
                )


def _aliases(given: Given) -> Iterator[Fault]:
    """One spelling is one institution of one upstream, else AuthenticatingAuthority would not say who answered."""
    first: dict[str, KeyPath] = {}
    for _, place, table in _institutions(given):
        for name in _called(table):
            if name in first:
                mend = f"it stands at {given.where(first[name])} too; keep one"
                yield Fault(given.where(place), f"{name} names two institutions", mend)
            first.setdefault(name, place)


def _scope(given: Given) -> Iterator[Fault]:
    """Keep the scope that we make identifiers under apart from those of others: ours would pass for theirs."""
    own = dict(_tables(given)).get(("idp",), {}).get("scope")
    for _, place, table in _institutions(given):
        if isinstance(own, str) and own in _texts(table, "scopes"):
            what = f"{own} is a scope of the institution at {given.where(place)}"
            yield Fault(given.where(("idp", "scope")), what, "use a domain of the library's own")


def _services(given: Given) -> Iterator[Fault]:
    known = [str(place[1]) for place, _ in _tables(given, "upstreams")]
    first: dict[str, KeyPath] = {}
    for place, table in _tables(given, "services"):
        for index, name in enumerate(_texts(table, "methods")):
            if name not in known:
                mend = f"upstreams are {', '.join(known) or 'none'}"
                yield Fault(given.where((*place, "methods", index)), f"no upstream {name}", mend)
        entity_id = table.get("entity_id")
        if isinstance(entity_id, str) and first.setdefault(entity_id, place) != place:
            mend = (
                f"{given.where(first[entity_id])} has it too; one of the two would never be found"
            )
            yield Fault(
                given.where((*place, "entity_id")), "is the entity_id of two services", mend
            )


def _message_log(given: Given) -> Iterator[Fault]:
    """Ask that the upstreams whose messages are kept are there, and speak SAML."""
    known = {str(place[1]): each for place, each in _tables(given, "upstreams")}
    federated = [name for name, each in known.items() if each.get("profile") != "library"]
    for index, name in enumerate(
        _texts(dict(_tables(given)).get(("message_log",), {}), "upstreams")
    ):
        if name not in federated:
            where = given.where(("message_log", "upstreams", index))
            yield Fault(
                where,
                f"{name} is no upstream that sends messages",
                f"they are {', '.join(federated)}",
            )


def _sign_up(given: Given) -> Iterator[Fault]:
    """Ask that the sign-up pages speak of upstreams and a service that there are, and of one library account."""
    table = dict(_tables(given)).get(("sign_up",), {})
    for key, kind in (
        ("university", "upstreams"),
        ("national_eid", "upstreams"),
        ("service", "services"),
    ):
        known = {str(place[1]): each for place, each in _tables(given, kind)}
        name = table.get(key)
        if isinstance(name, str) and (name not in known or known[name].get("profile") == "library"):
            mend = f"{kind} are {', '.join(known) or 'none'}"
            yield Fault(
                given.where(("sign_up", key)),
                f"{name} is none of the {kind} one can sign up by",
                mend,
            )
    local = [
        place for place, each in _tables(given, "upstreams") if each.get("profile") == "library"
    ]
    for place in local[1:]:
        what = "is a second library account; a broker has one library system"
        yield Fault(given.where(place), what, f"keep {given.where(local[0])}")


def _secrets(given: Given) -> Iterator[Fault]:
    """Refuse what an attacker tries first; never quote it."""
    https = str(given.tree.get("base_url", "")).startswith("https:")
    for (name,), table in (
        (place, table)
        for place, table in _tables(given)
        if place in {("library",), ("mail",), ("serve",)}
    ):
        for key, value in table.items():
            if not (key.endswith(SECRET_KEYS) and isinstance(value, str)):
                continue
            if value.strip().lower() in OBVIOUS:
                what = "is empty or a default that anyone would try"
            elif https and len(value) < SHORTEST_SECRET:
                what = f"is shorter than {SHORTEST_SECRET} characters"
            else:
                continue
            yield Fault(given.where((name, key)), what, "make one with: openssl rand -base64 32")


def _keys_apart(given: Given) -> Iterator[Fault]:
    """Whoever copies a store or a trail (a backup) must not get the keys that open or chain it along with it."""
    keys, tables = given.tree.get("keys"), dict(_tables(given))
    url, trail = (
        tables.get((name,), {}).get(key) for name, key in (("store", "url"), ("audit", "folder"))
    )
    log = tables.get(("message_log",), {}).get("folder")
    store = (
        url.removeprefix("sqlite:") if isinstance(url, str) and url.startswith("sqlite:") else None
    )
    places = (
        ("store", ("store", "url"), store),
        ("audit trail", ("audit", "folder"), trail),
        ("message log", ("message_log", "folder"), log),
    )
    for name, place, path in places:
        if isinstance(path, str) and isinstance(keys, str) and Path(path).is_relative_to(keys):
            what = f"puts the {name} into the folder of the keys that open it"
            yield Fault(given.where(place), what, "put it into a folder of its own")
    if isinstance(log, str) and isinstance(trail, str) and Path(log) == Path(trail):
        what = "is the folder of the audit trail: messages hold what the trail must not"
        yield Fault(
            given.where(("message_log", "folder")), what, "put them into a folder of their own"
        )


def _origin(given: Given) -> Iterator[Fault]:
    base_url, shared = given.tree.get("base_url"), given.tree.get("shared_origin", False)
    if (
        isinstance(base_url, str)
        and urlsplit(base_url).path.strip("/")
        and str(shared).lower() != "true"
    ):
        # What answers beside us at this origin can read our pages, the one with the CPR number
        # included (design 4a).
        what = "is below a path: whatever else answers at this origin can read the broker's pages"
        yield Fault(
            given.where(("base_url",)),
            what,
            "give the broker a host of its own, or set shared_origin = true",
        )


CHECKS: Final[tuple[Callable[[Given], Iterator[Fault]], ...]] = (
    _upstreams,
    _classes,
    _only,
    _aliases,
    _scope,
    _services,
    _sign_up,
    _message_log,
    _secrets,
    _keys_apart,
    _origin,
)
