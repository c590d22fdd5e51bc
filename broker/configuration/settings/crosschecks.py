"""Checks across keys."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broker.configuration.settings.address_types import loopback
from broker.configuration.settings.config_model import Config
from broker.configuration.settings.pictures import find_picture_faults
from broker.configuration.settings.raw_settings import (
    SECRET_KEYS,
    Faults,
    RawSettings,
    Where,
    find_repeated,
    find_unknown_name,
)
from broker.configuration.settings.upstream_checks import find_upstream_faults, list_institutions
from broker.core.errors import Fault
from broker.core.report.policy_report import LIBRARY_SYSTEM, MAIL_SERVER

SHORTEST_SECRET: Final = 16
# Secrets of examples and tutorials. They are refused whatever their length.
OBVIOUS: Final = frozenset(
    {"", "changeme", "secret", "password", "default", "example", "test", "admin", "koha", "1234"}
)
_TABLES_WITH_SECRETS: Final = ("library", "mail", "person_register", "serve")
_SQLITE: Final = "sqlite:"


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
