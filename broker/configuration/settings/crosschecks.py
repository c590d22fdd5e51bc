"""Checks across keys, on the settings as they are written, so that all faults come at once."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broker.configuration.checked_files import KeyPath
from broker.configuration.settings import upstream_checks
from broker.configuration.settings.address_types import loopback
from broker.configuration.settings.raw_settings import (
    SECRET_KEYS,
    Check,
    Faults,
    RawSettings,
    find_repeated,
    find_unknown_name,
)
from broker.core.errors import Fault
from broker.core.report.missing_answers import LIBRARY_SYSTEM, MAIL_SERVER

SHORTEST_SECRET: Final = 16
# Secrets of examples and tutorials. They are refused whatever their length.
OBVIOUS: Final = frozenset(
    {"", "changeme", "secret", "password", "default", "example", "test", "admin", "koha", "1234"}
)
_TABLES_WITH_SECRETS: Final = ("library", "mail", "person_register", "serve")
_SQLITE: Final = "sqlite:"


def crosschecks(raw: RawSettings) -> tuple[Fault, ...]:
    """Return the faults of every check; a table of the wrong type is left to the types."""
    return tuple(fault for check in CHECKS for fault in check(raw))


def _check_services(raw: RawSettings) -> Faults:
    upstreams = raw.table("upstreams").values
    for service in raw.tables("services"):
        for index, name in enumerate(service.texts("methods")):
            where = service.where("methods", index)
            yield from find_unknown_name(where, name, upstreams, "upstream")
    ids = [(each.text("entity_id"), each.where("entity_id")) for each in raw.tables("services")]
    yield from find_repeated(ids, "is the entity_id of two services")


def _check_sign_up(raw: RawSettings) -> Faults:
    """Refuse a service or an upstream that does not exist, or is the library account itself."""
    tables = raw.tables("upstreams")
    upstreams = [each.name for each in tables if each.text("profile") != "library"]
    sign_up = raw.table("sign_up")
    for key in ("university", "national_eid"):
        yield from find_unknown_name(sign_up.where(key), sign_up.text(key), upstreams, "upstream")
    services = raw.table("services").values
    where = sign_up.where("service")
    yield from find_unknown_name(where, sign_up.text("service"), services, "service")


def _check_staff_institution(raw: RawSettings) -> Faults:
    """Refuse an institution that no upstream has, or that its upstream never asks."""
    admin = raw.table("admin")
    institution, where = admin.text("institution"), admin.where("institution")
    upstreams = {
        str(each.get("entity_id")): upstream
        for upstream in raw.tables("upstreams")
        for each in upstream_checks.institutions_of(upstream)
    }
    yield from find_unknown_name(where, institution, upstreams, "institution")
    if institution in upstreams:
        upstream = upstreams[institution]
        if upstream.texts("only") and institution not in upstream.texts("only"):
            what = f"{institution} is not in upstreams.{upstream.name}.only"
            yield Fault(where, what, "add it there")


def _check_record(raw: RawSettings) -> Faults:
    """Refuse answers about a receiver that does not exist: they would stand in no record."""
    receivers = (*raw.table("services").values, LIBRARY_SYSTEM, MAIL_SERVER)
    answers = raw.table("record").table("receivers")
    for name in answers.values:
        yield from find_unknown_name(answers.where(name), name, receivers, "receiver")


def _check_library_accounts(raw: RawSettings) -> Faults:
    upstreams = [each for each in raw.tables("upstreams") if each.text("profile") == "library"]
    for second in upstreams[1:]:
        what = "is a second library account; a broker has one library system"
        yield Fault(second.where(), what, f"keep {upstreams[0].where()}")


def _check_secrets(raw: RawSettings) -> Faults:
    """Refuse the secrets that an attacker tries first, without quoting them."""
    https = str(raw.tree.get("base_url", "")).startswith("https:")
    for name in _TABLES_WITH_SECRETS:
        table = raw.table(name)
        for key in table.values:
            secret = table.text(key)
            if secret is None or not key.endswith(SECRET_KEYS):
                continue
            what = ""
            if secret.strip().lower() in OBVIOUS:
                what = "is empty or a default that anyone would try"
            elif https and len(secret) < SHORTEST_SECRET:
                what = f"is shorter than {SHORTEST_SECRET} characters"
            if what:
                yield Fault(table.where(key), what, "make one with: openssl rand -base64 32")


def _check_plain_mail(raw: RawSettings) -> Faults:
    """Refuse mail in clear text to another machine: it carries PINs and codes."""
    mail = raw.table("mail")
    address = urlsplit(mail.text("url") or "")
    is_plain = address.scheme == "smtp" and not loopback(address.hostname)
    if is_plain and not _is_true(mail.get("accept_plain")):
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
    if isinstance(keys, str) and isinstance(path, str) and Path(path).is_relative_to(keys):
        what = "is in the folder of the keys that open it"
        yield Fault(raw.where(key), what, "name a folder outside keys")


def _check_origin(raw: RawSettings) -> Faults:
    """Refuse a path in base_url unless the administrator accepts it.

    Another application at this origin can read our pages, the one with the CPR number included
    (docs/reference/design.md#4a-origin).
    """
    base_url = raw.tree.get("base_url")
    if _is_true(raw.tree.get("shared_origin")) or not isinstance(base_url, str):
        return
    if urlsplit(base_url).path.strip("/"):
        what = "is below a path: whatever else answers at this origin can read the broker's pages"
        fix = "use a host for the broker only, or set shared_origin = true"
        yield Fault(raw.where(("base_url",)), what, fix)


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"


CHECKS: Final[tuple[Check, ...]] = (
    *upstream_checks.CHECKS,
    _check_services,
    _check_sign_up,
    _check_staff_institution,
    _check_record,
    _check_library_accounts,
    _check_secrets,
    _check_plain_mail,
    _check_keys_folder,
    _check_origin,
)
