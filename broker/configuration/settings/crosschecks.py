"""Checks that must hold across keys, on the tree as written, so that all faults come together."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broker.configuration.checked_files import KeyPath
from broker.configuration.settings import admin_checks, upstream_checks
from broker.configuration.settings.address_types import loopback
from broker.configuration.settings.raw_settings import (
    SECRET_KEYS,
    Check,
    Faults,
    RawSettings,
    RawTable,
)
from broker.core.errors import Fault
from broker.core.report.missing_answers import LIBRARY_SYSTEM, MAIL_SERVER

SHORTEST_SECRET: Final = 16
# What examples, tutorials and tired people write; every length of them is refused.
OBVIOUS: Final = frozenset(
    {"", "changeme", "secret", "password", "default", "example", "test", "admin", "koha", "1234"}
)
_TABLES_WITH_SECRETS: Final = frozenset({"library", "mail", "person_register", "serve"})
_SQLITE: Final = "sqlite:"


def crosschecks(raw: RawSettings) -> tuple[Fault, ...]:
    """Return the faults of every check; a table of the wrong shape is left to the types."""
    faults: list[Fault] = []
    for check in CHECKS:
        faults.extend(check(raw))
    return tuple(faults)


def _services(raw: RawSettings) -> Faults:
    first: dict[str, RawTable] = {}
    for service in raw.tables("services"):
        yield from _unknown_methods(raw, service)
        entity_id = service.text("entity_id")
        if entity_id is None:
            continue
        other = first.setdefault(entity_id, service)
        if other is not service:
            where = service.where("entity_id")
            fix = f"{other.where()} has it too; one of the two would never be found"
            yield Fault(where, "is the entity_id of two services", fix)


def _unknown_methods(raw: RawSettings, service: RawTable) -> Faults:
    upstreams = [upstream.name for upstream in raw.tables("upstreams")]
    for index, name in enumerate(service.texts("methods")):
        if name not in upstreams:
            where = service.where("methods", index)
            what = f"no upstream {name}"
            known = ", ".join(upstreams) or "none"
            yield Fault(where, what, f"upstreams are {known}")


def _sign_up(raw: RawSettings) -> Faults:
    """Refuse a service or an upstream that does not exist, or is the library account itself."""
    yield from _sign_up_by(raw, "university", "upstreams")
    yield from _sign_up_by(raw, "national_eid", "upstreams")
    yield from _sign_up_by(raw, "service", "services")


def _sign_up_by(raw: RawSettings, key: str, kind: str) -> Faults:
    sign_up = raw.table("sign_up")
    name = sign_up.text(key)
    if name is None:
        return
    profiles = {}
    for table in raw.tables(kind):
        profiles[table.name] = table.get("profile")
    if name not in profiles or profiles[name] == "library":
        where = sign_up.where(key)
        known = ", ".join(profiles) or "none"
        what = f"{name} is none of the {kind} one can sign up by"
        yield Fault(where, what, f"{kind} are {known}")


def _record(raw: RawSettings) -> Faults:
    """Refuse answers about a receiver that does not exist: they would stand in no record."""
    receivers = (*raw.table("services").values, LIBRARY_SYSTEM, MAIL_SERVER)
    answered = raw.table("record").get("receivers")
    for name in answered if isinstance(answered, dict) else ():
        if name not in receivers:
            where = raw.where(("record", "receivers", name))
            yield Fault(where, f"no receiver {name}", f"receivers are {', '.join(receivers)}")


def _library_accounts(raw: RawSettings) -> Faults:
    first: RawTable | None = None
    for upstream in raw.tables("upstreams"):
        if upstream.get("profile") != "library":
            continue
        if first is None:
            first = upstream
            continue
        what = "is a second library account; a broker has one library system"
        fix = f"keep {first.where()}"
        yield Fault(upstream.where(), what, fix)


def _secrets(raw: RawSettings) -> Faults:
    """Refuse the secrets that an attacker tries first, without quoting them."""
    base_url = str(raw.tree.get("base_url", ""))
    https = base_url.startswith("https:")
    for name in raw.tree:
        if name in _TABLES_WITH_SECRETS:
            yield from _weak_secrets(raw.table(name), https=https)


def _weak_secrets(table: RawTable, *, https: bool) -> Faults:
    for key in table.values:
        secret = table.text(key)
        if secret is None:
            continue
        if not key.endswith(SECRET_KEYS):
            continue
        if secret.strip().lower() in OBVIOUS:
            what = "is empty or a default that anyone would try"
        elif https and len(secret) < SHORTEST_SECRET:
            what = f"is shorter than {SHORTEST_SECRET} characters"
        else:
            continue
        yield Fault(table.where(key), what, "make one with: openssl rand -base64 32")


def _plain_mail(raw: RawSettings) -> Faults:
    """Refuse mail in clear text to another machine: it carries PINs and codes."""
    mail = raw.table("mail")
    address = urlsplit(mail.text("url") or "")
    if address.scheme != "smtp" or loopback(address.hostname):
        return
    if str(mail.get("accept_plain")).lower() != "true":
        what = "is smtp:// to another machine: PINs would travel in clear text"
        fix = "write smtp+starttls:// or smtps://, or set mail.accept_plain = true"
        yield Fault(mail.where("url"), what, fix)


def _check_keys_folder(raw: RawSettings) -> Faults:
    """Refuse data in the folder of the keys: a backup of it would hold what opens it."""
    store = raw.table("store").text("url") or ""
    yield from _check_outside_keys(raw, ("state",), raw.tree.get("state"))
    if store.startswith(_SQLITE):
        yield from _check_outside_keys(raw, ("store", "url"), store.removeprefix(_SQLITE))


def _check_outside_keys(raw: RawSettings, key: KeyPath, path: object) -> Faults:
    keys = raw.tree.get("keys")
    if not isinstance(keys, str) or not isinstance(path, str):
        return
    if Path(path).is_relative_to(keys):
        what = "is in the folder of the keys that open it"
        yield Fault(raw.where(key), what, "name a folder outside keys")


def _shared_origin(raw: RawSettings) -> Faults:
    shared = raw.tree.get("shared_origin", False)
    if str(shared).lower() == "true":
        return
    base_url = raw.tree.get("base_url")
    if not isinstance(base_url, str):
        return
    if urlsplit(base_url).path.strip("/"):
        # What answers beside us at this origin can read our pages, the one with the CPR number
        # included (docs/reference/design.md#4a-origin).
        where = raw.where(("base_url",))
        what = "is below a path: whatever else answers at this origin can read the broker's pages"
        fix = "give the broker a host of its own, or set shared_origin = true"
        yield Fault(where, what, fix)


CHECKS: Final[tuple[Check, ...]] = (
    *upstream_checks.CHECKS,
    *admin_checks.CHECKS,
    _services,
    _sign_up,
    _record,
    _library_accounts,
    _secrets,
    _plain_mail,
    _check_keys_folder,
    _shared_origin,
)
