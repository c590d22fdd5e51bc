"""The report that the staff view shows: made by ``broker work``, kept in a file, by no request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from markupsafe import Markup

from broker.adapters.web.admin.staff_ports import ShownReport
from broker.adapters.web.report import report_pages
from broker.app import policy_record, policy_surroundings
from broker.app.assembly import Parts, now
from broker.core.errors import ConfigurationFaults
from broker.core.event_routes import told_nobody
from broker.core.policy.model import PolicySet
from broker.core.policy.site_record import site_digest
from broker.core.report.policy_report import ReportedSet
from broker.files import durable_files

_LOOKED_EVERY: Final = timedelta(seconds=10)
# What a start owes those who log in comes first. The page says: within a minute.
_AFTER_START: Final = timedelta(seconds=30)
_AFTER_FAULT: Final = timedelta(minutes=5)
_FILE: Final = "report.json"
_STAMPS: Final = ("digest", "site", "day")


def shown(parts: Parts, language: str) -> ShownReport | None:
    """Return the report in a language as it was made last; None before there is any."""
    kept = _kept(parts.config.state)
    if kept is None:
        return None
    # Ours, and escaped when it was made; nobody but the broker's user writes in its state.
    text = Markup(kept[language])  # noqa: S704
    stamps = _stamps(parts, parts.policies.current, now())
    current = all(kept[name] == stamp for name, stamp in stamps.items())
    return ShownReport(day=date.fromisoformat(kept["day"]), current=current, text=text)


@dataclass(slots=True)
class ReportUpkeep:
    """Makes the report anew when the set in force, what stands beside it, or the day changes.

    In a process of its own: it is seconds of work, and of large sets minutes.
    """

    parts: Parts
    _next: datetime | None = None

    def step(self) -> bool:
        """Make the report if it is not that of now; ConfigurationFaults where it cannot be.

        The first call makes none: half a minute after it is the first look.
        """
        moment = now()
        if self._next is None:
            self._next = moment + _AFTER_START
        if moment < self._next:
            return False
        self._next = moment + _LOOKED_EVERY
        policies = self.parts.policies.refresh(moment)
        stamps = _stamps(self.parts, policies, moment)
        kept = _kept(self.parts.config.state)
        if kept is not None and all(kept[name] == stamp for name, stamp in stamps.items()):
            return False
        self._next = moment + _AFTER_FAULT
        self._make(policies, stamps, moment)
        self._next = moment + _LOOKED_EVERY
        return True

    def _make(self, policies: PolicySet, stamps: Mapping[str, str], moment: datetime) -> None:
        settings = self.parts.config
        around = policy_surroundings.load(settings, told_nobody, moment)
        if around.faults:
            raise ConfigurationFaults(list(around.faults))
        reported = ReportedSet(policies.digest, stamps["site"])
        report = policy_record.report(settings, around, policies, reported, moment)
        texts = {name: report_pages.fragment(report, name) for name in report_pages.LANGUAGES}
        octets = json.dumps({**stamps, **texts}).encode()
        durable_files.put(settings.state / _FILE, octets)


def _stamps(parts: Parts, policies: PolicySet, moment: datetime) -> Mapping[str, str]:
    """Return what a report of now would be made of."""
    site = site_digest(parts.following.site())
    return {"digest": policies.digest, "site": site, "day": moment.date().isoformat()}


def _kept(state: Path) -> Mapping[str, str] | None:
    """Return what the file holds; None where it is not there, or not whole."""
    try:
        kept = json.loads((state / _FILE).read_bytes())
        found = {name: kept[name] for name in (*_STAMPS, *report_pages.LANGUAGES)}
        date.fromisoformat(found["day"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    whole = all(isinstance(each, str) for each in found.values())
    return found if whole else None
