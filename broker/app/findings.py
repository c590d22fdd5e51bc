"""What `broker check` finds: everything a careful administrator would want to fix."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from broker.adapters.observability import metrics
from broker.adapters.web.sign_up import sign_up_pages
from broker.app import configured_texts, metadata_report, staff_findings
from broker.app.assembly import Parts, now, smtp
from broker.app.party_report import find_releases
from broker.app.readiness import key_faults, readiness
from broker.app.work_lock import NOT_RUNNING, is_work_running
from broker.core.borrowers.library_system import ExpectedSetup, LibraryCapability
from broker.core.entities import UNSPECIFIED, Assurance, Service, Upstream
from broker.core.errors import StoreUnavailable
from broker.core.policy.model import Release
from broker.use_cases.library_system.setup_proof import PROOF

_MAIL: Final = timedelta(seconds=15)
_STORE_DOWN: Final = "see store.url, and whether its Redis is up and lets the broker in"
_STORE_UNUSABLE: Final = "store: cannot be used"
_FEED_FIXES: Final = {
    "feed.unreachable": "see its url and ca_file, and whether this machine reaches it",
    "feed.status": "see its url",
    "feed.signature": "its pins name another key than the one that signs it",
    "feed.unsigned": "see its url: a feed is signed as a whole",
    "feed.size": "it is larger than a metadata feed may be",
    "feed.window": "see its window_days",
    "feed.disk": "see state, and whether that disk is full",
}
_NO_METADATA: Final = re.compile("^metadata: no metadata of (.+) is in force$")
# Up to the last "@": a password may hold one, or a "?", and a journal must hold no part of it.
_CREDENTIALS: Final = re.compile("//.*@")


def all_findings(parts: Parts) -> list[str]:
    """Return everything that a careful administrator would want to fix, in sentences."""
    unready: list[str] = []
    for name, faults in readiness(parts).items():
        unready.extend(f"{name}: {fault}" for fault in faults)
    unready = [_with_store(parts, fault) for fault in unready]
    found = [f"metadata: {_with_feed(fault)}" for fault in metadata_report.findings(parts)]
    told = {*unready, *map(_as_alarm, unready)}
    found = unready + [finding for finding in found if finding not in told]
    for of_one_kind in _FINDINGS:
        found.extend(of_one_kind(parts))
    return found


def _as_alarm(unready: str) -> str:
    """Return the alarm that says no more than why logins fail: one cause is told once."""
    return _NO_METADATA.sub(r"metadata: \1 has no metadata in force", unready)


def _with_store(parts: Parts, finding: str) -> str:
    """Return a finding about a store that cannot be used with its address and what to look at."""
    if not finding.startswith(_STORE_UNUSABLE):
        return finding
    address, _, _ = _CREDENTIALS.sub("//", parts.config.store.url).partition("?")
    return f"{finding} ({address}: {_STORE_DOWN})"


def _with_feed(finding: str) -> str:
    """Return a finding about a feed that is refused with what to look at."""
    for cause, fix in _FEED_FIXES.items():
        if f"({cause})" in finding:
            return f"{finding} ({fix})"
    return finding


def _work(parts: Parts) -> Iterator[str]:
    """Yield that no ``broker work`` runs beside a running ``broker serve``."""
    state = parts.config.state
    if metrics.is_serving(state / "metrics") and not is_work_running(state):
        yield f"work: {NOT_RUNNING}"


def _policies(parts: Parts) -> Iterator[str]:
    for fault in (*parts.policies.stale, *parts.policies.current.warnings):
        yield f"policies: {fault}"


def _register(parts: Parts) -> Iterator[str]:
    if parts.register is None:
        return
    for fault in parts.register.prove(now() + PROOF):
        yield f"{fault.setting}: {fault}"


def _proxies(parts: Parts) -> Iterator[str]:
    if parts.config.secure and not parts.config.serve.proxies:
        what = "behind a TLS proxy every caller counts as one, and one can lock out all"
        yield f"serve.proxies is 0: {what}"


def _sign_up(parts: Parts) -> Iterator[str]:
    settings = configured_texts.sign_up(parts.config, parts.services)
    if not parts.config.sign_up.service:
        what = "nobody can sign up, change a PIN or see their choices"
        yield f"sign_up.service is not set: {what}"
    elif settings is None:
        what = "there are no sign-up pages"
        yield f"sign_up.university and sign_up.national_eid are not both set: {what}"
    if settings is not None:
        for fault in sign_up_pages.faults(parts.texts, settings):
            yield f"content: {fault}"


def _accessibility(parts: Parts) -> Iterator[str]:
    if parts.config.secure and not parts.config.accessibility_statement:
        what = "every page of a public body must link to one"
        yield f"accessibility_statement is not set: {what}"


def _national_eid(parts: Parts) -> Iterator[str]:
    """Yield what makes a national eID of little use, or less sure than it looks."""
    for name, upstream in parts.upstreams.items():
        where = f"upstreams.{name}"
        if upstream.profile == "oiosaml3":
            for what in _direct_eid(upstream):
                yield f"{where}: {what}"


def _direct_eid(upstream: Upstream) -> Iterator[str]:
    """Yield what is amiss at an upstream that is NemLog-in itself."""
    if not any("cpr" in each.may_assert for each in upstream.institutions):
        yield 'without may_assert = ["cpr"] its CPR numbers count as not sent'
    if upstream.least < Assurance.SUBSTANTIAL:
        yield 'minimum = "low" lets in who has shown no more than a password'
    if upstream.encryption == "cbc":
        yield 'encryption = "cbc" has no effect: its Responses are not signed'


def _message_log(parts: Parts) -> Iterator[str]:
    if parts.messages and not parts.config.message_log_upstreams():
        what = "no upstream has profile oiosaml3"
        yield f"message_log keeps nothing: {what}"


def _logout(parts: Parts) -> Iterator[str]:
    """Yield the upstreams that a logout is to reach and cannot: they stay logged in."""
    for name, upstream in parts.federated.items():
        descriptor = parts.metadata.current.upstream(upstream.entity_id, now())
        if descriptor is None or descriptor.logout is not None:
            continue
        if upstream.logout != "never":
            what = "without a SingleLogoutService no logout is a whole one"
            yield f'upstreams.{name}: {what}, unless logout = "never"'


def _contact(parts: Parts) -> Iterator[str]:
    contact = parts.config.contact
    if not contact.name:
        what = 'pages and mails call the library "the library" and no more'
        yield f"contact.name is not set: {what}"
    if not (contact.email or contact.phone):
        what = "who needs help is told of nobody to ask"
        yield f"neither contact.email nor contact.phone is set: {what}"


def _mail(parts: Parts) -> Iterator[str]:
    for fault in smtp(parts.config).probe(now() + _MAIL):
        yield f"mail: {fault}"


def _keys(parts: Parts) -> Iterator[str]:
    with suppress(StoreUnavailable):  # a fault of the store
        yield from map(str, key_faults(parts))


_DOWN: Final = "see library.url, and whether the library system is up"
_UNAVAILABLE: Final = "unavailable"  # the setting of a fault, where the library system is down
_NEVER: Final = (
    'with "never" the library system must lock an account after some wrong PINs, because nothing '
    "else stops guesses (Koha: FailedLoginAttempts)"
)
_UNPROVED: Final = "the library system does not say whether a PIN is right"


def find_library_faults(parts: Parts) -> Iterator[str]:
    """Yield what the set-up lacks, then what rests on something that the system cannot do."""
    expected = ExpectedSetup.of(parts.policies.current)
    for fault in parts.library.prove(expected, now() + PROOF):
        fix = ""
        if fault.setting == _UNAVAILABLE:
            fix = f" ({parts.config.library.url}: {_DOWN})"
        yield f"library: {fault}{fix}"
    capabilities = parts.library.capabilities
    if LibraryCapability.UNIQUE_CPR not in capabilities:
        what = "of two borrowers made for one person at one time it refuses none"
        yield f"library.system: {what}; they become a case (broker enrolments list)"
    if LibraryCapability.PIN_CHECKED not in capabilities:
        yield from _pins(parts)
    if parts.config.library_account.mail_code == "never":
        yield f"library_account.mail_code: {_NEVER}"


def _pins(parts: Parts) -> Iterator[str]:
    """Yield what rests on a PIN that nobody can check."""
    for service in parts.services.values():
        for name in service.methods:
            if parts.upstreams[name].local:
                what = f"{_UNPROVED}, and nobody logs in by {name}"
                yield f"services.{service.name}: {what}; take it out of methods"


def find_trial_faults(parts: Parts) -> Iterator[str]:
    """Yield what trial borrowers show, then what they could not show."""
    expected = ExpectedSetup.of(parts.policies.current)
    trial = parts.library.try_setup(expected, now() + PROOF)
    yield from (f"library: {fault}" for fault in trial.faults)
    yield from (f"not proven: {sentence}" for sentence in trial.not_proven)


_FORMATS_PREFIX = "nameid-format:"


def find_service_faults(parts: Parts) -> Iterator[str]:
    """Yield, for each service, NameID formats and required attributes that it does not get.

    One that no policy has a release for gets nothing at all.

    A descriptor that lists encryption algorithms, but none of ours, is not in force and is reported
    with the metadata.
    """
    for service in parts.services.values():
        for finding in _service_encryption(parts, service):
            yield f"services.{service.name}: {finding}"
        releases = list(find_releases(parts, service))
        if not releases:
            yield f"services.{service.name}: no policy has a release for it, so that nobody gets in"
            continue
        for finding in (*_name_ids(parts, service, releases), *_required(parts, service, releases)):
            yield f"services.{service.name}: {finding}"


def _service_encryption(parts: Parts, service: Service) -> Iterator[str]:
    descriptor = parts.metadata.current.service(service.entity_id, now())
    if descriptor is None:
        return
    has_key = descriptor.encryption_certificate is not None
    if service.encryption in {"gcm", "cbc"} and not has_key:
        what = "its metadata has no encryption key, so that no login is possible"
        yield f'encryption = "{service.encryption}": {what}'
    if service.encryption is None and has_key and not descriptor.encryption_algorithms.listed:
        what = "its metadata lists no encryption algorithm, so that it gets AES-128-GCM"
        yield f'{what} (encryption = "gcm"; a product that reads only AES-CBC needs "cbc")'


def _name_ids(parts: Parts, service: Service, releases: list[Release]) -> Iterator[str]:
    """Yield the entries that give another NameID format than the service's metadata lists."""
    descriptor = parts.metadata.current.service(service.entity_id, now())
    if descriptor is None or not descriptor.name_id_formats:
        return
    listed = descriptor.name_id_formats
    if UNSPECIFIED in listed:
        return
    wanted = " or ".join(map(_short, listed))
    for release in releases:
        if release.name_id_format not in listed:
            what = f"its metadata wants the NameID format {wanted}, and"
            yield f"{what} {release.place} gives {_short(release.name_id_format)}"


def _required(parts: Parts, service: Service, releases: list[Release]) -> Iterator[str]:
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


def _short(name_id_format: str) -> str:
    return name_id_format.rpartition(_FORMATS_PREFIX)[2]


def find_restored_persons(parts: Parts) -> Iterator[str]:
    """Yield how many deleted persons a restored backup has brought back."""
    try:
        count = parts.stored_data().count_restored()
    except StoreUnavailable:
        return  # a fault of the store
    except OSError as error:
        yield f"person: forgotten.log cannot be read: {error.strerror}"
        return
    if count:
        what = "deleted person records are there again"
        yield f"person: {count} {what}: broker person forget --replay"


_FINDINGS: Final[Sequence[Callable[[Parts], Iterable[str]]]] = (
    _keys,
    _work,
    _policies,
    find_library_faults,
    _register,
    _mail,
    _proxies,
    _sign_up,
    _accessibility,
    _national_eid,
    _message_log,
    _logout,
    _contact,
    find_service_faults,
    find_restored_persons,
    staff_findings.findings,
)
