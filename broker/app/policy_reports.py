"""Makes the report for the data protection officer from the configuration and the policies."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Final

from broker.app import policy_analysis, policy_surroundings
from broker.app.assembly import now
from broker.app.named_configuration import configuration
from broker.configuration.policies import live_policies
from broker.configuration.settings.config import Config
from broker.configuration.settings.tables import optional_text
from broker.core.errors import ConfigurationFaults
from broker.core.events.broker_events import discard_event
from broker.core.policy_analysis.plays import Progress, Trial
from broker.core.report.missing_answers import LibraryAnswers
from broker.core.report.policy_report import LibrarySystemUse, PolicyReport, Protection
from broker.core.report.what_leaves import what_leaves

_NOON: Final = time(12, tzinfo=UTC)
_SQLITE: Final = "sqlite:"


def make_report(
    folder: Path | None, day: date | None, show_progress: Callable[[int], Progress]
) -> PolicyReport:
    """Return the report of ``folder``, or of the configured one, as it is on ``day``.

    ``show_progress`` returns the callback for the progress of so many institutions.
    ConfigurationFaults with all faults.
    """
    settings = configuration()
    moment = datetime.combine(day, _NOON) if day else now()
    around = policy_surroundings.load(settings, discard_event, moment)
    if around.faults:
        raise ConfigurationFaults(list(around.faults))
    policies = live_policies.load(folder or settings.policies, moment, around.names)
    site = policy_analysis.configured_site(around)
    progress = show_progress(len(site.sources))
    trial = Trial((policies,), site, moment, report_progress=progress)
    return PolicyReport(
        day=moment.date(),
        base_url=settings.base_url,
        digest=policies.digest,
        folder=str(folder) if folder else None,
        leaves=what_leaves(trial),
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
    return LibraryAnswers(
        name=contact.called(),
        email=contact.email,
        phone=contact.phone,
        page=optional_text(contact.page),
        officer=contact.dpo,
        privacy_notice=optional_text(settings.privacy_notice),
        joint_controllers=optional_text(record.joint_controllers),
        security=optional_text(record.security),
        receivers={name: wording.text() for name, wording in record.receivers.items()},
    )


def _protection(settings: Config) -> Protection:
    return Protection(
        https=settings.secure,
        message_log=settings.message_log is not None,
        shared_store=not settings.store.url.startswith(_SQLITE),
    )
