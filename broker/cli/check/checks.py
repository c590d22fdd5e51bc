"""The checks of `broker check`: everything that an administrator would want to correct."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from broker.adapters.observability import metrics
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor
from broker.adapters.web.sign_up import sign_up_pages
from broker.app import configured_texts
from broker.app.assembly import Parts, now
from broker.app.readiness import (
    STORE_LOST,
    describe_own_certificates,
    key_faults,
    list_differences,
    readiness,
)
from broker.app.work_lock import NOT_RUNNING, is_work_running
from broker.cli.check.party_report import find_releases, shorten
from broker.core.borrowers.library_setup import ExpectedSetup, LibraryCapability
from broker.core.entities import UNSPECIFIED, Service
from broker.core.errors import AuditUnavailable, StoreUnavailable
from broker.core.identity.attribute_values import is_in_scope
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, EPPN
from broker.core.policy.model import Release
from broker.core.staff.staff_rules import SUBJECT_ID
from broker.use_cases.library_system.setup_check import CHECK_TIMEOUT

_MAIL_TIMEOUT: Final = timedelta(seconds=15)
_STORE_DOWN: Final = (
    "see store.url and its password, whether its Redis is up, and whether the disk of its file is "
    "full or read-only"
)
_FEED_FIXES: Final = {
    "feed.unreachable": "see its url and ca_file, and whether this machine reaches it",
    "feed.status": "see its url",
    "feed.signature": "its pins name another key than the one that signs it",
    "feed.unsigned": "see its url: a feed is signed as a whole",
    "feed.size": "it is larger than a metadata feed may be",
    "feed.window": "see its window_days",
    "feed.disk": "see state, and whether that disk is full",
}
# Up to the last "@": a password may contain "@" or "?", and no part of it may be printed.
_CREDENTIALS: Final = re.compile("//.*@")


def find_all(parts: Parts) -> list[str]:
    """Return sentences about everything that an administrator would want to correct."""
    found: list[str] = []
    for name, faults in readiness(parts).items():
        if name != "metadata":  # the metadata check says more
            found.extend(f"{name}: {fault}" for fault in faults)
    for check in _CHECKS:
        found.extend(check(parts))
    return [_add_store_fix(parts, finding) for finding in found]


def _add_store_fix(parts: Parts, finding: str) -> str:
    """Add the address of a store that cannot be used, and what to look at."""
    if not finding.startswith("store: cannot be used"):
        return finding
    address, _, _ = _CREDENTIALS.sub("//", parts.config.store.url).partition("?")
    return f"{finding} ({address}: {_STORE_DOWN})"


def find_metadata_faults(parts: Parts) -> Iterator[str]:
    """Yield what is wrong with feeds, descriptors, scopes and dates of expiry."""
    moment = now()
    metadata = parts.metadata
    # The key of an expired certificate still counts, but the party may have a new one.
    expired = [
        ending.sentence()
        for ending in metadata.endings()
        if ending.what == "certificate" and ending.at <= moment
    ]
    found = [*metadata.alarms(moment), *metadata.warnings(moment), *expired]
    for sentence in dict.fromkeys([*found, *metadata.snapshot.notices]):
        fixes = [fix for cause, fix in _FEED_FIXES.items() if f"({cause})" in sentence]
        yield f"{sentence} ({fixes[0]})" if fixes else sentence
    yield from _institutions_without_scope(parts)


def _institutions_without_scope(parts: Parts) -> Iterator[str]:
    """Yield the institutions that get their scopes from metadata, which has none."""
    for upstream in parts.saml_upstreams.values():
        for institution in upstream.institutions:
            from_metadata = parts.config.feeds or institution.folder_scopes
            if from_metadata and "scopes" in institution.unwritten and not institution.scopes:
                what = "has no scope, from broker.toml or its metadata"
                yield f"{institution.entity_id} {what}: no eppn of it is believed"


def _work(parts: Parts) -> Iterator[str]:
    """Yield a finding if ``broker serve`` runs without ``broker work``."""
    state = parts.config.state
    if metrics.is_serving(state / metrics.FOLDER) and not is_work_running(state):
        yield f"work: {NOT_RUNNING}"


def _find_reported_faults(parts: Parts) -> Iterator[str]:
    """Yield what the metadata, the policies, the person register and the mail server report."""
    moment = now()
    for finding in find_metadata_faults(parts):
        yield f"metadata: {finding}"
    for fault in (*parts.policies.file_faults, *parts.policies.current.warnings):
        yield f"policies: {fault}"
    if parts.register is not None:
        for found in parts.register.check_setup(moment + CHECK_TIMEOUT):
            yield f"{found.setting}: {found}"
    for sentence in parts.smtp.probe(moment + _MAIL_TIMEOUT):
        yield f"mail: {sentence}"


def _settings(parts: Parts) -> Iterator[str]:
    """Yield the settings of broker.toml that are sound and probably not what was wanted."""
    config = parts.config
    if config.uses_https and not config.serve.proxies:
        what = "behind a TLS proxy all callers look like one, and one of them can lock out all"
        yield f"serve.proxies is 0: {what}"
    if config.uses_https and not config.accessibility_statement:
        what = "every page of a public body must link to one"
        yield f"accessibility_statement is not set: {what}"
    if config.message_log and not config.message_log_upstreams():
        yield "message_log stores nothing: no upstream has profile oiosaml3"
    if not config.contact.name:
        yield 'contact.name is not set: pages and mails say only "the library"'
    if not (config.contact.email or config.contact.phone):
        what = "pages name nobody whom people can ask for help"
        yield f"neither contact.email nor contact.phone is set: {what}"
    if config.library_account.mail_code == "never":
        yield f"library_account.mail_code: {_NEVER}"


def _sign_up(parts: Parts) -> Iterator[str]:
    settings = configured_texts.make_sign_up(parts.config, parts.services)
    if not parts.config.sign_up.service:
        what = "nobody can sign up, change a PIN or see their choices"
        yield f"sign_up.service is not set: {what}"
    elif settings is None:
        what = "there are no sign-up pages"
        yield f"sign_up.university and sign_up.national_eid are not both set: {what}"
    if settings is not None:
        affiliations = {policy.affiliation for policy in parts.policies.current.policies}
        for fault in sign_up_pages.list_faults(parts.texts, settings, affiliations):
            yield f"content: {fault}"


def _national_eid(parts: Parts) -> Iterator[str]:
    """Yield the settings that make a national eID useless or less secure than it looks."""
    for name, upstream in parts.upstreams.items():
        if upstream.profile != "oiosaml3":
            continue
        if not any("cpr" in each.may_assert for each in upstream.institutions):
            what = 'without may_assert = ["cpr"] its CPR numbers are ignored'
            yield f"upstreams.{name}: {what}"
        if upstream.encryption == "cbc":
            what = 'encryption = "cbc" has no effect: its Responses are not signed'
            yield f"upstreams.{name}: {what}"


def _logout(parts: Parts) -> Iterator[str]:
    """Yield the upstreams that stay logged in because no logout reaches them."""
    for name, upstream in parts.saml_upstreams.items():
        descriptor = parts.metadata.current.upstream(upstream.entity_id, now())
        if descriptor is None or descriptor.logout is not None:
            continue
        if upstream.logout != "never":
            what = "it has no SingleLogoutService, so that every logout is partial"
            yield f'upstreams.{name}: {what}, unless logout = "never"'


def _store(parts: Parts) -> Iterator[str]:
    with suppress(StoreUnavailable, AuditUnavailable):  # readiness names it
        yield from (f"store: {warning}" for warning in parts.store.warnings())
        yield from map(str, key_faults(parts))
        yield from (f"fleet: {sentence}" for sentence in list_differences(parts))
        if parts.audit_log.is_store_lost(now()):
            yield f"store: {STORE_LOST}"


def _own_certificates(parts: Parts) -> Iterator[str]:
    yield from (f"keys: {sentence}" for sentence in describe_own_certificates(parts, now()))


_DOWN: Final = "see library.url, and whether the library system is up"
_UNAVAILABLE: Final = "unavailable"  # the setting of a fault if the library system is down
_NEVER: Final = (
    'with "never" the library system must lock an account after some wrong PINs, because nothing '
    "else stops guesses (Koha: FailedLoginAttempts)"
)
_PIN_UNCHECKED: Final = "the library system does not say whether a PIN is right"


def find_library_faults(parts: Parts) -> Iterator[str]:
    """Yield the faults of the library system's set-up, and features that it does not support."""
    expected = ExpectedSetup.from_policies(parts.policies.current)
    for fault in parts.library.check_setup(expected, now() + CHECK_TIMEOUT):
        fix = ""
        if fault.setting == _UNAVAILABLE:
            fix = f" ({parts.config.library.url}: {_DOWN})"
        yield f"library: {fault}{fix}"
    capabilities = parts.library.capabilities
    if LibraryCapability.UNIQUE_CPR not in capabilities:
        what = "it may create two borrowers for one person"
        yield f"library.system: {what}; they become a case (broker enrolments list)"
    if LibraryCapability.PIN_CHECKED not in capabilities:
        for service in parts.services.values():
            for name in service.methods:
                if parts.upstreams[name].local:
                    what = f"{_PIN_UNCHECKED}, so that nobody can log in with {name}"
                    yield f"services.{service.name}: {what}; take it out of methods"


def find_trial_faults(parts: Parts) -> Iterator[str]:
    """Yield the faults that trial borrowers show, and what they could not prove."""
    expected = ExpectedSetup.from_policies(parts.policies.current)
    trial = parts.library.try_setup(expected, now() + CHECK_TIMEOUT)
    yield from (f"library: {fault}" for fault in trial.faults)
    yield from (f"not proven: {sentence}" for sentence in trial.not_proven)


def find_service_faults(parts: Parts) -> Iterator[str]:
    """Yield NameID formats and required attributes that a service does not get.

    A descriptor that lists only unsupported encryption algorithms is not in force. The metadata
    check reports it.
    """
    for service in parts.services.values():
        descriptor = parts.metadata.current.service(service.entity_id, now())
        releases = find_releases(parts, service)
        findings = list(_find_unreleased_attributes(parts, service, releases))
        if not releases:
            findings = ["no policy has a release for it, so that nobody can log in"]
        if descriptor is not None:
            findings += _find_encryption_faults(service, descriptor)
            findings += _find_name_id_faults(descriptor, releases)
        for finding in findings:
            yield f"services.{service.name}: {finding}"


def _find_encryption_faults(service: Service, descriptor: ServiceDescriptor) -> Iterator[str]:
    has_key = descriptor.encryption_certificate is not None
    if service.encryption in {"gcm", "cbc"} and not has_key:
        what = "its metadata has no encryption key, so that no login is possible"
        yield f'encryption = "{service.encryption}": {what}'
    if service.encryption is None and has_key and not descriptor.encryption_algorithms.listed:
        what = "its metadata lists no encryption algorithm, so that it gets AES-128-GCM"
        yield f'{what} (encryption = "gcm"; a product that reads only AES-CBC needs "cbc")'


def _find_name_id_faults(
    descriptor: ServiceDescriptor, releases: Iterable[Release]
) -> Iterator[str]:
    """Yield the entries that give another NameID format than the service's metadata lists."""
    listed = descriptor.name_id_formats
    if not listed or UNSPECIFIED in listed:
        return
    wanted = " or ".join(map(shorten, listed))
    for release in releases:
        if release.name_id_format not in listed:
            what = f"its metadata wants the NameID format {wanted}, and"
            yield f"{what} {release.place} gives {shorten(release.name_id_format)}"


def _find_unreleased_attributes(
    parts: Parts, service: Service, releases: list[Release]
) -> Iterator[str]:
    """Yield the attributes that its metadata marks as required and that no policy releases."""
    attribute_map = parts.maps.maps.get(service.attribute_map)
    if attribute_map is None:
        return
    released = {listed.name for release in releases for listed in release.attributes}
    for wire_name in sorted(service.requires):
        names = [row.name for row in attribute_map.rows if row.wire == wire_name]
        if not names:
            file = f"attribute_maps/{service.attribute_map}.yaml"
            yield f"its metadata requires the attribute {wire_name}, for which {file} has no row"
        elif released.isdisjoint(names):
            yield f"its metadata requires the attribute {names[0]}, which no policy releases to it"


def find_restored_persons(parts: Parts) -> Iterator[str]:
    """Yield how many deleted persons a restored backup has brought back."""
    try:
        count = parts.stored_data.count_restored()
    except StoreUnavailable:
        return  # a fault of the store
    except OSError as error:
        yield f"person: forgotten.log cannot be read: {error.strerror}"
        return
    if count:
        what = "deleted person records are there again"
        yield f"person: {count} {what}: broker person forget --replay"


def find_staff_faults(parts: Parts) -> Iterator[str]:
    """Yield which settings keep members of staff out of the staff view, and what to do."""
    rules = parts.config.staff_rules()
    if rules is None:
        return
    if not rules.roles:
        yield "admin.roles is empty: the staff view lets nobody in; list them, or leave [admin] out"
    upstream = parts.upstreams[rules.upstream]
    institution = upstream.institution(rules.institution)
    if institution is None:
        return  # ``staff_rules`` returns none without it
    names = {row.name for row in parts.maps.maps[upstream.attribute_map].rows}
    if CPR_ATTRIBUTE not in institution.may_assert:
        names.discard(CPR_ATTRIBUTE)
    nobody = "nobody of the staff can log in"
    if EPPN not in names:
        what = f"attribute map {upstream.attribute_map} reads no eppn: {nobody}"
        yield f"admin.institution: {what}; add a row for {EPPN}"
    if not names & {SUBJECT_ID, CPR_ATTRIBUTE}:
        what = f"the login carries neither {SUBJECT_ID} nor a CPR number: {nobody}"
        yield f'admin.institution: {what}; add a row for {SUBJECT_ID} or may_assert = ["cpr"]'
    if institution.max_assurance < rules.assurance:
        what = f"is above max_assurance of {institution.entity_id}: {nobody}"
        yield f"admin.assurance: {what}; lower it, or raise max_assurance"
    known = ", ".join(institution.scopes) or "none"
    for eppn in rules.roles:
        if not is_in_scope(eppn, "exact", institution.scopes):
            what = f"{institution.entity_id} may not assert its scope (those are {known})"
            yield f"admin.roles: {eppn}: {what}; correct it, or the institution's scopes"


_CHECKS: Final[Sequence[Callable[[Parts], Iterable[str]]]] = (
    _store,
    _own_certificates,
    _work,
    _find_reported_faults,
    find_library_faults,
    _settings,
    _sign_up,
    _national_eid,
    _logout,
    find_service_faults,
    find_restored_persons,
    find_staff_faults,
)
