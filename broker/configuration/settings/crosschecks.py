"""Checks across keys: secrets, services, addresses, upstreams, institutions and feeds."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broker.configuration.settings.config_model import Config
from broker.configuration.settings.federation_tables import (
    InstitutionTable,
    ServiceTable,
    UpstreamTable,
    names_national_eid,
)
from broker.configuration.settings.pictures import find_picture_faults
from broker.configuration.settings.raw_settings import (
    SECRET_KEYS,
    Faults,
    RawSettings,
    Where,
    find_repeated,
    find_unknown_name,
    variable,
)
from broker.configuration.settings.value_types import loopback
from broker.core.errors import Fault
from broker.core.login.authn_context import is_overstated
from broker.core.report.policy_report import LIBRARY_SYSTEM, MAIL_SERVER

SHORTEST_SECRET: Final = 16
# Secrets of examples and tutorials. They are refused whatever their length.
OBVIOUS: Final = frozenset(
    {"", "changeme", "secret", "password", "default", "example", "test", "admin", "koha", "1234"}
)
_TABLES_WITH_SECRETS: Final = ("library", "mail", "person_register", "serve")
_SQLITE: Final = "sqlite:"
_OF_UPSTREAMS: Final = ("upstreams", "institutions")
_OF_SERVICES: Final = ("services",)
# Profiles whose upstream is its own institution (docs/reference/design.md#institutions).
_OWN_INSTITUTION: Final = frozenset({"saml", "oiosaml3"})

_Placed = tuple[str, InstitutionTable]  # an institution with the place where it is written


def find_weak_secrets(raw: RawSettings) -> Faults:
    """Refuse the secrets that an attacker tries first, without quoting them."""
    https = str(raw.tree.get("base_url", "")).startswith("https:")
    for name in _TABLES_WITH_SECRETS:
        table = raw.tree.get(name)
        for key, secret in table.items() if isinstance(table, dict) else ():
            if not isinstance(secret, str) or not key.endswith(SECRET_KEYS):
                continue
            what = ""
            if secret.strip().lower() in OBVIOUS:
                what = "is empty or a default that anyone would try"
            elif https and len(secret) < SHORTEST_SECRET:
                what = f"is shorter than {SHORTEST_SECRET} characters"
            if what:
                yield Fault(raw.where(name, key), what, "make one with: openssl rand -base64 32")


def crosscheck(config: Config, where: Where) -> Faults:
    """Find settings that are right by themselves and do not agree."""
    yield from find_upstream_faults(config, where)
    yield from _check_services(config, where)
    yield from _check_sign_up(config, where)
    yield from _check_staff_institution(config, where)
    # Answers about a receiver that does not exist would stand in no record.
    receivers = (*config.services, LIBRARY_SYSTEM, MAIL_SERVER)
    for name in config.record.receivers:
        place = where("record", "receivers", name)
        yield from find_unknown_name(place, name, receivers, "receiver")
    yield from _check_addresses(config, where)
    yield from _check_keys_folder(config, where)
    yield from find_picture_faults(config.site, config.services)


def _check_services(config: Config, where: Where) -> Faults:
    for name, service in config.services.items():
        for index, method in enumerate(service.methods or ()):
            place = where("services", name, "methods", index)
            yield from find_unknown_name(place, method, config.upstreams, "upstream")
    ids = [
        (each.entity_id, where("services", name, "entity_id"))
        for name, each in config.services.items()
    ]
    yield from find_repeated(ids, "is the entity_id of two services")


def _check_sign_up(config: Config, where: Where) -> Faults:
    """Refuse a name that does not exist, or is the library account, and a second such account."""
    local = [name for name, each in config.upstreams.items() if each.profile == "library"]
    upstreams = [name for name in config.upstreams if name not in local]
    sign_up = config.sign_up
    for key, name in (("university", sign_up.university), ("national_eid", sign_up.national_eid)):
        yield from find_unknown_name(where("sign_up", key), name, upstreams, "upstream")
    place = where("sign_up", "service")
    yield from find_unknown_name(place, sign_up.service, config.services, "service")
    for second in local[1:]:
        what = "is a second library account; a broker has one library system"
        yield Fault(where("upstreams", second), what, f"keep {where('upstreams', local[0])}")


def _check_staff_institution(config: Config, where: Where) -> Faults:
    """Refuse an institution that no upstream has, or that its upstream never asks."""
    if config.admin is None:
        return
    institution, place = config.admin.institution, where("admin", "institution")
    upstreams = {
        each.entity_id: name
        for name, upstream in config.upstreams.items()
        for _, each in list_institutions(name, upstream, where)
    }
    yield from find_unknown_name(place, institution, upstreams, "institution")
    if institution in upstreams:
        name = upstreams[institution]
        only = config.upstreams[name].only
        if only and institution not in only:
            yield Fault(place, f"{institution} is not in upstreams.{name}.only", "add it there")


def _check_addresses(config: Config, where: Where) -> Faults:
    """Refuse mail in clear text to another machine, and a shared origin, unless accepted.

    The mail carries PINs and codes. Another application at this origin can read our pages, the one
    with the CPR number included (docs/reference/design.md#4a-origin).
    """
    mail = urlsplit(config.mail.url)
    is_plain = mail.scheme == "smtp" and not loopback(mail.hostname)
    if is_plain and not config.mail.accept_plain:
        what = "is smtp:// to another machine: PINs would travel in clear text"
        fix = "write smtp+starttls:// or smtps://, or set mail.accept_plain = true"
        yield Fault(where("mail", "url"), what, fix)
    if urlsplit(config.base_url).path.strip("/") and not config.shared_origin:
        what = "is below a path: whatever else answers at this origin can read the broker's pages"
        fix = "use a host for the broker only, or set shared_origin = true"
        yield Fault(where("base_url"), what, fix)


def _check_keys_folder(config: Config, where: Where) -> Faults:
    """Refuse data in the folder of the keys: a backup of it would hold what opens it."""
    folders = {where("state"): config.state}
    if config.store.url.startswith(_SQLITE):
        folders[where("store", "url")] = Path(config.store.url.removeprefix(_SQLITE))
    for place, path in folders.items():
        if path.is_relative_to(config.keys):
            what = "is in the folder of the keys that open it"
            yield Fault(place, what, "name a folder outside keys")


def list_institutions(name: str, upstream: UpstreamTable, where: Where) -> Iterator[_Placed]:
    """Yield the institutions listed at an upstream, or the upstream as its own institution."""
    for index, each in enumerate(upstream.institutions):
        yield where("upstreams", name, "institutions", index), each
    is_own = not upstream.institutions and upstream.profile in _OWN_INSTITUTION
    if is_own and upstream.entity_id:
        own = InstitutionTable(entity_id=upstream.entity_id)
        yield where("upstreams", name, "entity_id"), own


def find_upstream_faults(config: Config, where: Where) -> Faults:
    """Find faults of upstreams, and of the feeds of upstreams and services."""
    placed: list[_Placed] = []
    for name, upstream in config.upstreams.items():
        institutions = list(list_institutions(name, upstream, where))
        placed += institutions
        if upstream.profile == "library":
            if upstream.entity_id or upstream.institutions:
                what = "profile library is the library account: it has no entity_id, institutions"
                yield Fault(where("upstreams", name), what, "leave them out")
        else:
            yield from _check_keys(name, upstream, where)
            yield from _check_institutions(name, upstream, where)
        yield from _check_authn_contexts(name, upstream, where)
        known = [each for _, institution in institutions for each in institution.names()]
        for index, only in enumerate(upstream.only):
            place = where("upstreams", name, "only", index)
            yield from find_unknown_name(place, only, known, "institution")
    # AuthenticatingAuthority would be ambiguous.
    names = [(name, place) for place, each in placed for name in each.names()]
    yield from find_repeated(names, "names two institutions")
    yield from _check_scope(config.idp.scope, placed, where)
    yield from _check_feeds(config, where)


def _check_scope(own: str | None, placed: Iterable[_Placed], where: Where) -> Faults:
    """Refuse an institution's scope for our own identifiers: ours would pass for theirs."""
    for place, each in placed:
        if own in (each.scopes or ()):
            what = f"{own} is a scope of the institution at {place}"
            yield Fault(where("idp", "scope"), what, "use a domain that belongs to the library")


def _check_keys(name: str, upstream: UpstreamTable, where: Where) -> Faults:
    """Find keys that the profile of an upstream needs or cannot have."""
    profile = upstream.profile
    needed = ["entity_id", "attribute_map"] if profile == "saml" else ["entity_id"]
    for key in needed:
        if key not in upstream.model_fields_set:
            path = ("upstreams", name, key)
            yield Fault(where(*path), "is missing", f"write it there, or set {variable(path)}")
    if profile != "saml" and "subject_hint" in upstream.model_fields_set:
        # A hub has no person to name to, and the national eID gets no hint.
        what = f"is for profile saml, not {profile}"
        yield Fault(where("upstreams", name, "subject_hint"), what, "leave it out")
    if profile == "oiosaml3" and upstream.encryption == "none":
        what = "leaves out the key that profile oiosaml3 must encrypt every assertion to"
        yield Fault(where("upstreams", name, "encryption"), what, "leave it out")


def _check_institutions(name: str, upstream: UpstreamTable, where: Where) -> Faults:
    profile, institutions = upstream.profile, upstream.institutions
    if profile == "wayf" and not institutions:
        # A hub can speak for every institution. Without the list each could assert any scope
        # (docs/reference/design.md#invariant-2).
        what = "profile wayf without institutions would believe every institution behind the hub"
        fix = "list institutions = [{entity_id, scopes}]"
        yield Fault(where("upstreams", name), what, fix)
    others = [each for each in institutions if each.entity_id != upstream.entity_id]
    if profile in _OWN_INSTITUTION and others:
        what = "an upstream that is no hub is its own institution"
        fix = "list its own entity_id only, or set profile = wayf"
        yield Fault(where("upstreams", name, "institutions"), what, fix)
    for index, each in enumerate(institutions):
        is_eid = profile == "oiosaml3" or any(map(names_national_eid, each.names()))
        if is_eid and each.assurance:
            place = where("upstreams", name, "institutions", index, "assurance")
            what = "is stated for the national eID, which asserts one in every login"
            yield Fault(place, what, "leave it out")


def _check_authn_contexts(name: str, upstream: UpstreamTable, where: Where) -> Faults:
    """Refuse a class as good as one that is known to say more: no setting makes a second factor."""
    pin = upstream.profile == "library"
    for wanted, given in upstream.authn_contexts.items():
        weaker = [each for each in given if is_overstated(wanted, each, pin=pin)]
        if weaker:
            what = f"{'a PIN' if pin else ', '.join(weaker)} is not as good as that"
            fix = "leave it out, or name classes of at least that level"
            yield Fault(where("upstreams", name, "authn_contexts", wanted), what, fix)


def _check_feeds(config: Config, where: Where) -> Faults:
    """Refuse an upstream, or a service, for which two feeds may speak.

    If the first feed loses the entity, the publisher of the second could give it another key
    (docs/reference/attacks.md#33).
    """
    for name, upstream in config.upstreams.items():
        if upstream.profile != "library":
            place = where("upstreams", name, "feed")
            yield from _check_speakers(config, upstream, _OF_UPSTREAMS, place)
    for name, service in config.services.items():
        place = where("services", name, "feed")
        yield from _check_speakers(config, service, _OF_SERVICES, place)


def _check_speakers(
    config: Config, party: UpstreamTable | ServiceTable, kinds: Iterable[str], place: str
) -> Faults:
    feeds = config.feeds
    for name in party.feed:
        yield from find_unknown_name(place, name, feeds, "feed")
    if not set(party.feed) <= feeds.keys():
        return
    for kind in kinds:
        speakers = [name for name in party.feed or feeds if kind in feeds[name].speaks_for]
        if len(speakers) > 1:
            what = f"feeds {' and '.join(speakers)} both speak for {kind}"
            yield Fault(place, what, f'name the one: feed = "{speakers[0]}"')
