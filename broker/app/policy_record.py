"""Makes the report for the data protection officer from the configuration and the set in force."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Final

from broker.app import policy_analysis, policy_site, policy_surroundings
from broker.app.assembly import now
from broker.app.named_configuration import configuration
from broker.app.open_record import record_of
from broker.app.policy_sources import SHOWN
from broker.app.policy_surroundings import PolicySurroundings
from broker.core.analysis.compared_logins import Analysis, Told
from broker.core.analysis.row_days import EVERY_DAY
from broker.core.analysis.set_differences import Row, difference
from broker.core.errors import BrokerError, ConfigurationFaults, Fault, StoreUnavailable
from broker.core.event_routes import told_nobody
from broker.core.policy.model import PolicySet
from broker.core.policy.site_record import site_digest
from broker.core.report.missing_answers import LibraryAnswers, ReceiverAnswers
from broker.core.report.policy_report import (
    Changes,
    LibrarySystemUse,
    PolicyReport,
    Protection,
    ReportedChange,
    ReportedSet,
)
from broker.core.report.what_leaves import what_leaves
from broker.files.policies import live_policies
from broker.files.policies.policy_folder import FoundFiles, PolicyFolder
from broker.files.settings.config import Config
from broker.files.settings.tables import ReceiverTable, optional_text
from broker.use_cases.policies.set_in_force import SetChange, SetInForce

_NOON: Final = time(12, tzinfo=UTC)
_SQLITE: Final = "sqlite:"
# Why a folder is reported where nobody asked for one.
_SAVED: Final = "saved"
_EMPTY: Final = "empty"
_AWAY: Final = "away"
_NO_HISTORY: Final = "needs the history of the policies, and the store cannot be read"


@dataclass(frozen=True, slots=True)
class _Found:
    """The files that are reported, and whether they are a folder's, and why."""

    files: FoundFiles
    folder: Path | None = None
    reason: str = ""


def _quiet(_: int) -> Told:
    return lambda *_: None


def made(
    folder: Path | None,
    day: date | None,
    since: date | None = None,
    telling: Callable[[int], Told] = _quiet,
) -> PolicyReport:
    """Return the report of ``folder``, or of the set in force, as it is on ``day``.

    With the changes from ``since`` on. Where the store cannot be read, or holds no set, the
    configured folder is reported. ``telling`` gives, for so many institutions, what is told how
    many are done. ConfigurationFaults with all faults, and where there are no changes to be read.
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
    whole = report(settings, around, policies, reported, moment, telling=telling)
    if since is None:
        return whole
    return replace(whole, changes=_changes(settings, around, since, moment))


def report(
    settings: Config,
    around: PolicySurroundings,
    policies: PolicySet,
    reported: ReportedSet,
    moment: datetime,
    *,
    telling: Callable[[int], Told] = _quiet,
) -> PolicyReport:
    """Return the report of a set that is loaded already: some seconds of work, for no request."""
    site = policy_analysis.configured_site(around)
    analysis = Analysis((policies,), site, moment, telling(len(site.sources)))
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
        register=settings.person_register.system if settings.person_register else "",
        labels=around.maps.labels if around.maps else {},
    )


def answers(settings: Config) -> LibraryAnswers:
    """Return what the configuration says for the record of processing."""
    contact = settings.contact
    record = settings.record
    services = {
        name: replace(_receiver(table), cpr_law=optional_text(table.cpr_law))
        for name, table in record.services.items()
    }
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


def _changes(
    settings: Config, around: PolicySurroundings, since: date, moment: datetime
) -> Changes:
    """Return the changes from ``since`` on, the newest first, with who gets what else by each."""
    sets = record_of(settings)
    try:
        history = sets.history(now()) if sets and not sets.lost(now()) else None
    except StoreUnavailable:
        history = None
    if sets is None or history is None:
        raise ConfigurationFaults([Fault("--since", _NO_HISTORY, "see broker check")])
    history_since = [change for change in history if since <= change.at.date() <= moment.date()]
    past = _Past(sets, around, moment)
    rows = tuple(_change(change, past) for change in reversed(history_since))
    return Changes(since, rows)


@dataclass(frozen=True, slots=True)
class _Past:
    """The sets of the history, as they would decide now; each is loaded once."""

    sets: SetInForce
    around: PolicySurroundings
    moment: datetime
    loaded: dict[str, PolicySet | None] = field(default_factory=dict)

    def of(self, name: str | None) -> PolicySet | None:
        """Return a set; None where it is gone, or names what is configured no more."""
        if name is None:
            return None
        if name not in self.loaded:
            self.loaded[name] = self._load(name)
        return self.loaded[name]

    def _load(self, name: str) -> PolicySet | None:
        files = self.sets.sets.read(name, now())
        if files is None:
            return None
        found = FoundFiles(files, f"set {name[:SHOWN]}", binding=False)
        try:
            return live_policies.load_found(found, self.moment, self.around.names)
        except ConfigurationFaults:
            return None

    def compared(self, change: SetChange) -> tuple[str, ...] | None:
        """Return who gets what else by a change, in words; None where nobody can say."""
        before = self.of(change.base)
        after = self.of(change.digest)
        if before is None or after is None:
            return None
        site = policy_analysis.compared_site(self.around)
        found = difference(Analysis((before, after), site, self.moment))
        return tuple(_words(row) for row in found.rows)


def _change(change: SetChange, past: _Past) -> ReportedChange:
    return ReportedChange(
        at=change.at,
        who=change.who,
        why=change.why,
        how=str(change.move),
        digest=change.digest,
        summary=(*change.summary, *change.broken),
        rows=past.compared(change),
    )


def _words(row: Row) -> str:
    change = row.change
    place = f" ({change.place})" if change.place else ""
    days = f", {row.days.in_words()}" if row.days != EVERY_DAY else ""
    return f"{change.direction} {row.service} {row.affiliation}: {change.text}{place}{days}"


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
