"""Checks of the upstreams as written: their profiles, institutions, aliases, scopes and classes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from broker.configuration.settings.federation_tables import names_national_eid
from broker.configuration.settings.raw_settings import (
    Check,
    Faults,
    RawSettings,
    RawTable,
    variable,
)
from broker.core.errors import Fault
from broker.core.login.authn_context import is_overstated

_OF_UPSTREAMS: Final = ("upstreams", "institutions")
_OF_SERVICES: Final = ("services",)
# Profiles whose upstream is its own institution (docs/reference/design.md#institutions).
_OWN_INSTITUTION: Final = frozenset({"saml", "oiosaml3"})


def institutions_of(upstream: RawTable) -> Iterator[RawTable]:
    """Yield the institutions listed at an upstream, or the upstream as its own institution."""
    listed = upstream.get("institutions")
    if isinstance(listed, list):
        for index, values in enumerate(listed):
            if isinstance(values, dict):
                path = (*upstream.path, "institutions", index)
                yield RawTable(upstream.settings, path, values)
    profile = upstream.text("profile")
    if not listed and profile in _OWN_INSTITUTION:
        path = (*upstream.path, "entity_id")
        values = {"entity_id": upstream.get("entity_id")}
        yield RawTable(upstream.settings, path, values)


def _all_institutions(raw: RawSettings) -> Iterator[RawTable]:
    for upstream in raw.tables("upstreams"):
        yield from institutions_of(upstream)


def _names(institution: RawTable) -> Iterator[str]:
    """Yield every spelling of an institution: its entityID and its aliases."""
    entity_id = institution.text("entity_id")
    if entity_id is not None:
        yield entity_id
    yield from institution.texts("aliases")


def _profiles(raw: RawSettings) -> Faults:
    """Find keys that an upstream's profile demands or cannot have."""
    for upstream in raw.tables("upstreams"):
        for check in _PROFILE_CHECKS:
            yield from check(upstream)


def _library_account(upstream: RawTable) -> Faults:
    if upstream.text("profile") != "library":
        return
    institutions = list(institutions_of(upstream))
    if institutions or "entity_id" in upstream.values:
        account = "profile library is the library account itself"
        what = f"{account}: it has no entity_id and no institutions"
        yield Fault(upstream.where(), what, "leave them out")


def _entity_id(upstream: RawTable) -> Faults:
    if upstream.text("profile") == "library":
        return
    if "entity_id" not in upstream.values:
        name = variable((*upstream.path, "entity_id"))
        fix = f"write it there, or set {name}"
        yield Fault(upstream.where("entity_id"), "is missing", fix)


def _hub(upstream: RawTable) -> Faults:
    if upstream.text("profile") != "wayf":
        return
    if not any(institutions_of(upstream)):
        # A hub speaks for anyone: without the list, any institution could assert any scope
        # (docs/reference/design.md#invariant-2).
        what = "profile wayf without institutions would believe every institution behind the hub"
        fix = "list institutions = [{entity_id, scopes}]"
        yield Fault(upstream.where(), what, fix)


def _own_institution(upstream: RawTable) -> Faults:
    if upstream.text("profile") not in _OWN_INSTITUTION:
        return
    own = upstream.get("entity_id")
    listed = [institution.get("entity_id") for institution in institutions_of(upstream)]
    if any(entity_id != own for entity_id in listed):
        where = upstream.where("institutions")
        what = "an upstream that is no hub is its own institution"
        fix = "list its own entity_id only, or set profile = wayf"
        yield Fault(where, what, fix)


def _check_encryption(upstream: RawTable) -> Faults:
    if upstream.text("profile") == "oiosaml3" and upstream.text("encryption") == "none":
        what = "leaves out the key that profile oiosaml3 must encrypt every assertion to"
        yield Fault(upstream.where("encryption"), what, "leave it out")


def _check_assurance(upstream: RawTable) -> Faults:
    """Find an assurance stated for the national eID, which asserts one in every login."""
    for institution in institutions_of(upstream):
        if "assurance" not in institution.values:
            continue
        if upstream.text("profile") == "oiosaml3" or any(
            map(names_national_eid, _names(institution))
        ):
            what = "is stated for the national eID, which asserts one in every login"
            yield Fault(institution.where("assurance"), what, "leave it out")


def _subject_hint(upstream: RawTable) -> Faults:
    """Find a hint for a hub, whose institutions it names nobody to, or for the national eID."""
    profile = upstream.text("profile")
    if profile == "saml" or "subject_hint" not in upstream.values:
        return
    what = f"is for profile saml, not {profile}"
    yield Fault(upstream.where("subject_hint"), what, "leave it out")


def _attribute_map(upstream: RawTable) -> Faults:
    if upstream.text("profile") != "saml":
        return
    if "attribute_map" not in upstream.values:
        where = upstream.where("attribute_map")
        fix = "name a file of the attribute_maps folder"
        yield Fault(where, "is missing", fix)


_PROFILE_CHECKS: Final = (
    _library_account,
    _entity_id,
    _hub,
    _own_institution,
    _check_encryption,
    _check_assurance,
    _subject_hint,
    _attribute_map,
)


def _authn_contexts(raw: RawSettings) -> Faults:
    """Refuse a class as good as one that is known to say more: no setting makes a second factor."""
    for upstream in raw.tables("upstreams"):
        classes = upstream.get("authn_contexts")
        if isinstance(classes, dict):
            path = (*upstream.path, "authn_contexts")
            pin = upstream.text("profile") == "library"
            yield from _overstated(RawTable(raw, path, classes), pin=pin)


def _overstated(classes: RawTable, *, pin: bool) -> Faults:
    for wanted in classes.values:
        accepted = classes.texts(wanted)
        weaker = [name for name in accepted if is_overstated(wanted, name, pin=pin)]
        if weaker:
            names = "a PIN" if pin else ", ".join(weaker)
            what = f"{names} is not as good as that"
            fix = "leave it out, or name classes of at least that level"
            yield Fault(classes.where(wanted), what, fix)


def _only(raw: RawSettings) -> Faults:
    for upstream in raw.tables("upstreams"):
        known: set[str] = set()
        for institution in institutions_of(upstream):
            known.update(_names(institution))
        for index, name in enumerate(upstream.texts("only")):
            if name not in known:
                where = upstream.where("only", index)
                what = f"{name} is none of this upstream's institutions"
                yield Fault(where, what, "add it to institutions, or correct it")


def _institution_names(raw: RawSettings) -> Faults:
    """Refuse a spelling of two institutions: AuthenticatingAuthority would be ambiguous."""
    first: dict[str, RawTable] = {}
    for institution in _all_institutions(raw):
        for name in _names(institution):
            other = first.get(name)
            if other is None:
                first[name] = institution
                continue
            what = f"{name} names two institutions"
            fix = f"it stands at {other.where()} too; keep one"
            yield Fault(institution.where(), what, fix)


def _scope(raw: RawSettings) -> Faults:
    """Refuse an institution's scope for our own identifiers: ours would pass for theirs."""
    identity_provider = raw.table("idp")
    own = identity_provider.text("scope")
    for institution in _all_institutions(raw):
        if own in institution.texts("scopes"):
            where = identity_provider.where("scope")
            what = f"{own} is a scope of the institution at {institution.where()}"
            yield Fault(where, what, "use a domain of the library's own")


def _feeds(raw: RawSettings) -> Faults:
    """Refuse an upstream, or a service, for which two feeds may speak.

    Once the first loses it, the publisher of the second could give it a key of their own
    (docs/reference/attacks.md#33).
    """
    feeds = {feed.name: _speaks_for(feed) for feed in raw.tables("feeds")}
    for upstream in raw.tables("upstreams"):
        if upstream.text("profile") != "library":
            yield from _speakers(upstream, feeds, _OF_UPSTREAMS)
    for service in raw.tables("services"):
        yield from _speakers(service, feeds, _OF_SERVICES)


def _named_feeds(party: RawTable) -> list[str]:
    """Return the feeds that an upstream or a service names, one or a list."""
    one = party.text("feed")
    return party.texts("feed") if one is None else [one]


def _speaks_for(feed: RawTable) -> list[str]:
    if feed.get("speaks_for") is None:
        return [*_OF_UPSTREAMS, *_OF_SERVICES]
    return feed.texts("speaks_for")


def _speakers(
    party: RawTable, feeds: Mapping[str, list[str]], kinds_of_party: Iterable[str]
) -> Faults:
    named = _named_feeds(party)
    unknown = [name for name in named if name not in feeds]
    for name in unknown:
        known = ", ".join(feeds) or "none"
        yield Fault(party.where("feed"), f"no feed {name}", f"feeds are {known}")
    if unknown:
        return
    for kind in kinds_of_party:
        speakers = [name for name in named or feeds if kind in feeds[name]]
        if len(speakers) > 1:
            what = f"feeds {' and '.join(speakers)} both speak for {kind}"
            yield Fault(party.where("feed"), what, f'name the one: feed = "{speakers[0]}"')


CHECKS: Final[tuple[Check, ...]] = (
    _profiles,
    _authn_contexts,
    _only,
    _institution_names,
    _scope,
    _feeds,
)
