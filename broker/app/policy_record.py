"""Makes the report for the data protection officer from the configuration and the set in force."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Final

from broker.adapters.saml.keys import key_ring
from broker.app import policy_analysis, policy_site, policy_surroundings, sealed_stores
from broker.app.assembly import now
from broker.app.named_configuration import configuration
from broker.app.policy_surroundings import PolicySurroundings
from broker.core.analysis.compared_logins import Analysis
from broker.core.errors import BrokerError, ConfigurationFaults
from broker.core.event_routes import told_nobody
from broker.core.policy.model import PolicySet
from broker.core.policy.site_record import site_digest
from broker.core.report.missing_answers import LibraryAnswers, ReceiverAnswers
from broker.core.report.policy_report import (
    LibrarySystemUse,
    PolicyReport,
    Protection,
    ReportedSet,
)
from broker.core.report.what_leaves import what_leaves
from broker.files.policies import live_policies
from broker.files.policies.policy_folder import FoundFiles, PolicyFolder
from broker.files.settings.config import Config
from broker.files.settings.tables import ReceiverTable, optional_text
from broker.flows.policies.set_in_force import SetInForce

_NOON: Final = time(12, tzinfo=UTC)
_SQLITE: Final = "sqlite:"
# Why a folder is reported where nobody asked for one.
_SAVED: Final = "saved"
_EMPTY: Final = "empty"
_AWAY: Final = "away"


@dataclass(frozen=True, slots=True)
class _Found:
    """The files that are reported, and whether they are a folder's, and why."""

    files: FoundFiles
    folder: Path | None = None
    reason: str = ""


def made(folder: Path | None, day: date | None) -> PolicyReport:
    """Return the report of ``folder``, or of the set in force, as it is on ``day``.

    Where the store cannot be read, or holds no set, the configured folder is reported.
    ConfigurationFaults with all faults.
    """
    settings = configuration()
    moment = datetime.combine(day, _NOON) if day else now()
    around = policy_surroundings.load(settings, told_nobody, moment)
    if around.faults:
        raise ConfigurationFaults(list(around.faults))
    found = _found(settings, folder)
    policies = live_policies.load_found(found.files, moment, around.names)
    reported = ReportedSet(
        digest=policies.digest,
        site_digest=site_digest(policy_site.site(settings, around)),
        folder=str(found.folder) if found.folder else None,
        reason=found.reason,
    )
    return report(settings, around, policies, reported, moment)


def report(
    settings: Config,
    around: PolicySurroundings,
    policies: PolicySet,
    reported: ReportedSet,
    moment: datetime,
) -> PolicyReport:
    """Return the report of a set that is loaded already: some seconds of work, for no request."""
    site = policy_analysis.configured_site(around)
    analysis = Analysis((policies,), site, moment)
    return PolicyReport(
        day=moment.date(),
        base_url=settings.base_url,
        reported=reported,
        leaves=what_leaves(analysis),
        services=tuple(around.services.values()),
        upstreams=tuple(around.upstreams.values()),
        answers=answers(settings),
        library=LibrarySystemUse(settings.library.system, settings.library.mode),
        protection=_protection(settings),
        labels=around.maps.labels if around.maps else {},
    )


def answers(settings: Config) -> LibraryAnswers:
    """Return what the configuration says for the record of processing."""
    contact = settings.contact
    record = settings.record
    services = {name: _receiver(table) for name, table in record.services.items()}
    return LibraryAnswers(
        name=contact.called(),
        email=contact.email,
        phone=contact.phone,
        page=optional_text(contact.page),
        officer=contact.dpo,
        privacy_notice=optional_text(settings.privacy_notice),
        joint_controllers=optional_text(record.joint_controllers),
        security=optional_text(record.security),
        services=services,
        library_system=_receiver(record.library_system),
        mail=_receiver(record.mail),
    )


def _receiver(table: ReceiverTable) -> ReceiverAnswers:
    return ReceiverAnswers(
        kept_for=optional_text(table.kept_for),
        third_countries=table.third_countries,
        safeguards=optional_text(table.safeguards),
    )


def _protection(settings: Config) -> Protection:
    return Protection(
        https=settings.secure,
        trail=settings.audit.on,
        trail_required=settings.audit.required,
        message_log=settings.message_log is not None,
        shared_store=not settings.store.url.startswith(_SQLITE),
    )


def _found(settings: Config, folder: Path | None) -> _Found:
    if folder is not None:
        return _Found(PolicyFolder(folder).files(), folder)
    configured = settings.policies
    if settings.policy.live == "save":
        return _Found(PolicyFolder(configured).files(), configured, _SAVED)
    reason = _AWAY
    sets = record_of(settings)
    try:
        live = sets.live(now()) if sets else None
        files = sets.sets.read(live.value.digest, now()) if sets and live else None
    except BrokerError:
        files = None
    else:
        reason = _EMPTY if sets and live is None else _AWAY
    if files is not None:
        return _Found(FoundFiles(files, "set in force", binding=False))
    return _Found(PolicyFolder(configured).files(), configured, reason)


def record_of(settings: Config) -> SetInForce | None:
    """Return the record of the set in force; None where there is no store, or no key to open it.

    Whoever reports makes nothing: a store that is not there is not made.
    """
    url = settings.store.url
    if url.startswith(_SQLITE):
        path = settings.keys.parent / url.removeprefix(_SQLITE)
        if not path.is_file():
            return None
    try:
        ring = key_ring.load(settings.keys)
        store = sealed_stores.sealed(sealed_stores.bare(settings), ring)
    except (BrokerError, OSError):
        return None
    return SetInForce(store) if store else None
