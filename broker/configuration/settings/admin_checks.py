"""Checks of the staff view as written: its upstream and its institution."""

from collections.abc import Iterator
from typing import Final

from broker.configuration.checked_files import did_you_mean
from broker.configuration.settings.raw_settings import Check, Faults, RawSettings, RawTable
from broker.configuration.settings.upstream_checks import institutions_of
from broker.core.errors import Fault


def _login(raw: RawSettings) -> Faults:
    """Refuse an upstream or an institution by which nobody of the staff could log in."""
    admin = raw.table("admin")
    name = admin.text("upstream")
    if name is None:
        return
    upstreams = {upstream.name: upstream for upstream in raw.tables("upstreams")}
    if name not in upstreams:
        known = ", ".join(upstreams) or "none"
        fix = did_you_mean(name, upstreams) or f"upstreams are {known}"
        yield Fault(admin.where("upstream"), f"no upstream {name}", fix)
        return
    upstream = upstreams[name]
    if upstream.text("profile") == "library":
        what = "is the library account, which forces no fresh login (ForceAuthn) and names no eppn"
        fix = "name an upstream that staff log in to with their work account"
        yield Fault(admin.where("upstream"), what, fix)
        return
    yield from _institution(admin, upstream)


def _institution(admin: RawTable, upstream: RawTable) -> Faults:
    named = admin.text("institution")
    known = list(_entity_ids(upstream))
    if named is None:
        return
    if named not in known:
        fix = did_you_mean(named, known) or f"entity_ids there are {', '.join(known) or 'none'}"
        what = f"{named} is none of the institutions of upstreams.{upstream.name}"
        yield Fault(admin.where("institution"), what, fix)
        return
    only = upstream.texts("only")
    if only and named not in only:
        what = f"{named} is left out by upstreams.{upstream.name}.only: nobody is sent there"
        yield Fault(admin.where("institution"), what, "add it to only")


def _entity_ids(upstream: RawTable) -> Iterator[str]:
    for institution in institutions_of(upstream):
        entity_id = institution.text("entity_id")
        if entity_id is not None:
            yield entity_id


CHECKS: Final[tuple[Check, ...]] = (_login,)
