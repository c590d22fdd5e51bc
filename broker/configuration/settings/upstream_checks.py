"""Checks of upstreams and feeds as they are written: profiles, institutions, scopes, classes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from broker.configuration.settings.federation_tables import names_national_eid
from broker.configuration.settings.raw_settings import (
    Check,
    Faults,
    RawSettings,
    RawTable,
    find_repeated,
    find_unknown_name,
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
    if not listed and upstream.text("profile") in _OWN_INSTITUTION:
        values = {"entity_id": upstream.get("entity_id")}
        yield RawTable(upstream.settings, (*upstream.path, "entity_id"), values)


def _all_institutions(raw: RawSettings) -> Iterator[RawTable]:
    for upstream in raw.tables("upstreams"):
        yield from institutions_of(upstream)


def _list_names(institution: RawTable) -> list[str]:
    """Return the entityID of an institution and its aliases."""
    entity_id = institution.text("entity_id")
    return [*([] if entity_id is None else [entity_id]), *institution.texts("aliases")]


def _check_profiles(raw: RawSettings) -> Faults:
    """Find keys that the profile of an upstream needs or cannot have."""
    for upstream in raw.tables("upstreams"):
        if upstream.text("profile") == "library":
            if "entity_id" in upstream.values or any(institutions_of(upstream)):
                what = "profile library is the library account: it has no entity_id, institutions"
                yield Fault(upstream.where(), what, "leave them out")
        else:
            yield from _check_keys(upstream)
            yield from _check_institutions(upstream)


def _check_keys(upstream: RawTable) -> Faults:
    profile = upstream.text("profile")
    needed = ["entity_id", "attribute_map"] if profile == "saml" else ["entity_id"]
    for key in needed:
        if key not in upstream.values:
            fix = f"write it there, or set {variable((*upstream.path, key))}"
            yield Fault(upstream.where(key), "is missing", fix)
    if profile != "saml" and "subject_hint" in upstream.values:
        # A hub has no person to name to, and the national eID gets no hint.
        what = f"is for profile saml, not {profile}"
        yield Fault(upstream.where("subject_hint"), what, "leave it out")
    if profile == "oiosaml3" and upstream.text("encryption") == "none":
        what = "leaves out the key that profile oiosaml3 must encrypt every assertion to"
        yield Fault(upstream.where("encryption"), what, "leave it out")


def _check_institutions(upstream: RawTable) -> Faults:
    profile = upstream.text("profile")
    institutions = list(institutions_of(upstream))
    if profile == "wayf" and not institutions:
        # A hub can speak for every institution. Without the list each could assert any scope
        # (docs/reference/design.md#invariant-2).
        what = "profile wayf without institutions would believe every institution behind the hub"
        yield Fault(upstream.where(), what, "list institutions = [{entity_id, scopes}]")
    own = upstream.get("entity_id")
    if profile in _OWN_INSTITUTION and any(each.get("entity_id") != own for each in institutions):
        what = "an upstream that is no hub is its own institution"
        fix = "list its own entity_id only, or set profile = wayf"
        yield Fault(upstream.where("institutions"), what, fix)
    for each in institutions:
        is_eid = profile == "oiosaml3" or any(map(names_national_eid, _list_names(each)))
        if is_eid and "assurance" in each.values:
            what = "is stated for the national eID, which asserts one in every login"
            yield Fault(each.where("assurance"), what, "leave it out")


def _check_authn_contexts(raw: RawSettings) -> Faults:
    """Refuse a class as good as one that is known to say more: no setting makes a second factor."""
    for upstream in raw.tables("upstreams"):
        pin = upstream.text("profile") == "library"
        classes = upstream.table("authn_contexts")
        for wanted in classes.values:
            weaker = [
                name for name in classes.texts(wanted) if is_overstated(wanted, name, pin=pin)
            ]
            if weaker:
                what = f"{'a PIN' if pin else ', '.join(weaker)} is not as good as that"
                fix = "leave it out, or name classes of at least that level"
                yield Fault(classes.where(wanted), what, fix)


def _check_only(raw: RawSettings) -> Faults:
    for upstream in raw.tables("upstreams"):
        known = [name for each in institutions_of(upstream) for name in _list_names(each)]
        for index, name in enumerate(upstream.texts("only")):
            where = upstream.where("only", index)
            yield from find_unknown_name(where, name, known, "institution")


def _check_names(raw: RawSettings) -> Faults:
    """Refuse a name of two institutions: AuthenticatingAuthority would be ambiguous."""
    institutions = list(_all_institutions(raw))
    names = [(name, each.where()) for each in institutions for name in _list_names(each)]
    yield from find_repeated(names, "names two institutions")


def _check_scope(raw: RawSettings) -> Faults:
    """Refuse an institution's scope for our own identifiers: ours would pass for theirs."""
    own = raw.table("idp").text("scope")
    for institution in _all_institutions(raw):
        if own in institution.texts("scopes"):
            what = f"{own} is a scope of the institution at {institution.where()}"
            where = raw.where(("idp", "scope"))
            yield Fault(where, what, "use a domain that belongs to the library")


def _check_feeds(raw: RawSettings) -> Faults:
    """Refuse an upstream, or a service, for which two feeds may speak.

    If the first feed loses the entity, the publisher of the second could give it another key
    (docs/reference/attacks.md#33).
    """
    feeds = {}
    for feed in raw.tables("feeds"):
        kinds = feed.texts("speaks_for")
        is_limited = feed.get("speaks_for") is not None
        feeds[feed.name] = kinds if is_limited else [*_OF_UPSTREAMS, *_OF_SERVICES]
    for upstream in raw.tables("upstreams"):
        if upstream.text("profile") != "library":
            yield from _check_speakers(upstream, feeds, _OF_UPSTREAMS)
    for service in raw.tables("services"):
        yield from _check_speakers(service, feeds, _OF_SERVICES)


def _check_speakers(
    party: RawTable, feeds: Mapping[str, list[str]], kinds_of_party: Iterable[str]
) -> Faults:
    one = party.text("feed")
    named = party.texts("feed") if one is None else [one]
    where = party.where("feed")
    for name in named:
        yield from find_unknown_name(where, name, feeds, "feed")
    if not set(named) <= feeds.keys():
        return
    for kind in kinds_of_party:
        speakers = [name for name in named or feeds if kind in feeds[name]]
        if len(speakers) > 1:
            what = f"feeds {' and '.join(speakers)} both speak for {kind}"
            yield Fault(where, what, f'name the one: feed = "{speakers[0]}"')


CHECKS: Final[tuple[Check, ...]] = (
    _check_profiles,
    _check_authn_contexts,
    _check_only,
    _check_names,
    _check_scope,
    _check_feeds,
)
