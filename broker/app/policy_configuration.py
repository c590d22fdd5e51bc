"""Load policies and the configuration around them, for the policy commands."""

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from broker.app.named_configuration import configuration
from broker.app.open_metadata import open_metadata
from broker.app.policy_surroundings import (
    PolicySurroundings,
    collect_faults,
    load,
    read_library_settings,
)
from broker.configuration import attribute_maps
from broker.configuration.policies import git_revisions, live_policies
from broker.configuration.policies.examples import noon
from broker.configuration.policies.policy_folder import PolicyFolder
from broker.configuration.policies.site_checks import ANY_NAMES
from broker.configuration.settings import config
from broker.configuration.settings.config import Config
from broker.configuration.settings.toml_and_environment import CONFIG
from broker.configuration.settings.value_types import optional_text
from broker.core.borrowers.library_setup import ExpectedSetup, ignore_call
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.events.broker_events import discard_event
from broker.core.login.site import Site
from broker.core.policy.model import PolicySet
from broker.core.policy_analysis.sample_logins import Analysis, Progress
from broker.core.report.disclosures import find_disclosures
from broker.core.report.policy_report import LibraryAnswers, PolicyReport
from broker.use_cases.policy_trials.login_trials import TrialSite

_TIMEOUT: Final = timedelta(seconds=10)  # of the library system, at a check of policies
_UNAVAILABLE: Final = "unavailable"  # the setting of a fault, where the library system is down
# Without a configuration the commands read this folder below the working directory.
_HERE: Final = Path("policies")
_NAMES_UNCHECKED: Final = f"names are not checked: set {CONFIG}"
_CONFIGURATION: Final = "broker.toml"
# Environment variables that are ignored when a configuration folder is loaded.
_OF_FOLDER: Final = frozenset({CONFIG, "BROKER_SITE"})


def _load_around(settings: Config, moment: datetime, *, proving: bool) -> PolicySurroundings:
    return load(settings, lambda: open_metadata(settings, discard_event, moment), proving=proving)


def _load_surroundings(moment: datetime, *, proving: bool) -> PolicySurroundings:
    """Load the configured surroundings; raises ConfigurationFaults with all faults."""
    found = _load_around(configuration(), moment, proving=proving)
    if found.faults:
        raise ConfigurationFaults(found.faults)
    return found


@dataclass(frozen=True, slots=True)
class CheckedPolicies:
    """A policy set without faults, its warnings in sentences, and its site.

    Without a configuration the site has everything that the policies name.
    """

    policies: PolicySet
    warnings: tuple[str, ...]
    site: Site


def default_folder() -> Path:
    """Return the configured folder, or ./policies without a configuration.

    Raises ConfigurationFaults.
    """
    return _HERE if CONFIG not in os.environ and _HERE.is_dir() else configuration().policies


def load_checked(
    folder: Path | None, moment: datetime, *, proving: bool = False, in_force: bool = True
) -> CheckedPolicies:
    """Load the policies of ``folder``, or the configured ones, and check them against the site.

    ConfigurationFaults with all faults. Without a configuration names are not checked, which is a
    warning. ``proving``: the policies are held against the site rules too. ``in_force``: no
    affiliation of the set in force on this machine goes without a word.
    """
    if CONFIG not in os.environ and (folder is not None or _HERE.is_dir()):
        loaded = live_policies.load(folder or _HERE, moment)
        warnings = (_NAMES_UNCHECKED, *map(str, loaded.warnings))
        return CheckedPolicies(loaded, warnings, Site.from_policies((loaded,)))
    settings = configuration()
    found = _load_around(settings, moment, proving=proving)
    faults = list(found.faults)
    read = folder or settings.policies
    state = settings.state / "policies" if in_force else None
    checked = collect_faults(faults, lambda: live_policies.load(read, moment, found.names, state))
    if checked is None or faults:
        raise ConfigurationFaults(faults)
    parties = found.metadata.party_faults(moment) if found.metadata else {}
    warnings = (*map(str, checked.warnings), *parties.values())
    return CheckedPolicies(checked, warnings, found.names.site)


def check_categories(
    settings: Config, policies: PolicySet, moment: datetime
) -> tuple[tuple[str, ...], str]:
    """Ask the library system whether it has every category of ``policies``.

    Return the missing categories in sentences, and a note if it could not be asked.
    """
    library = read_library_settings(settings).open(ignore_call)
    faults = library.check_setup(ExpectedSetup.from_policies(policies), moment + _TIMEOUT)
    if any(fault.setting == _UNAVAILABLE for fault in faults):
        return (), f"categories were not checked: {settings.library.url} does not answer"
    return tuple(f"library: {fault}" for fault in faults), ""


def open_comparison(
    folders: tuple[Path, Path], moment: datetime, show_progress: Progress
) -> tuple[Analysis, tuple[Fault, ...]]:
    """Return the analysis of the sets of two folders; raises ConfigurationFaults.

    Folders with a broker.toml are whole configurations, each with its policies and its site. Other
    folders are compared at the configured site; without a configuration it has everything that the
    policies name. Return also the failing examples and broken site rules of the second set.
    """
    names = ANY_NAMES
    sites: tuple[Site, ...] = ()
    read: tuple[Path, ...] = folders
    if all((folder / _CONFIGURATION).is_file() for folder in folders):
        # Metadata is left out: it is the same for both.
        environ = {name: of for name, of in os.environ.items() if name not in _OF_FOLDER}
        settings = [config.load(folder / _CONFIGURATION, environ) for folder in folders]
        sites = tuple(map(_make_site, settings))
        read = tuple(each.policies for each in settings)
    elif CONFIG in os.environ:
        names = _load_surroundings(moment, proving=True).names
        sites = (names.site.unlimited_by_metadata,)
    found = [PolicyFolder(folder).files() for folder in read]
    sets = tuple(live_policies.compile_set(files, moment, names) for files in found)
    sites = sites or (Site.from_policies(sets),)
    failures = live_policies.find_failures(sets[-1], read[-1].name, moment, names)
    return Analysis(sets, sites, moment, report_progress=show_progress), failures


def _make_site(settings: Config) -> Site:
    maps = attribute_maps.load(settings.attribute_maps).maps
    services, upstreams = settings.core_services(), settings.core_upstreams()
    return Site.from_configuration(services, upstreams, maps).unlimited_by_metadata


def load_set_of_digest(folder: Path, digest: str, moment: datetime) -> tuple[PolicySet, str]:
    """Load the policy set with a digest from the Git history of ``folder``, and name its commit.

    Raises ConfigurationFaults if no commit holds it.
    """
    found, commit = git_revisions.find_set(folder, digest)
    return live_policies.compile_set(found, moment), commit


def open_trial_site(folder: Path | None, now: datetime) -> TrialSite:
    """Return the configured site, with the policies of ``folder`` if one is named.

    Without a configuration, the site has the policies of ``folder`` or of ./policies, and services
    that withhold nothing. Raises ConfigurationFaults with all faults.
    """
    checked = load_checked(folder, now, in_force=False)
    policies, site = checked.policies, checked.site
    if site.configured:
        origin = str(folder or "as configured")
        return TrialSite(policies, origin, site, configuration().sign_up.service)
    making = (each.service for each in policies.releases if each.borrower == "make")
    return TrialSite(policies, str(folder or _HERE), site, next(making, None))


def make_report(folder: Path | None, day: date | None, show_progress: Progress) -> PolicyReport:
    """Return the report for the data protection officer, as of ``day``.

    It is about the policies of ``folder``, or those configured. ConfigurationFaults with all
    faults.
    """
    settings = configuration()
    moment = noon(day) if day else datetime.now(UTC)
    around = _load_surroundings(moment, proving=False)
    policies = live_policies.load(folder or settings.policies, moment, around.names)
    analysis = Analysis((policies,), (around.names.site,), moment, report_progress=show_progress)
    return PolicyReport(
        day=moment.date(),
        base_url=settings.base_url,
        digest=policies.digest,
        folder=str(folder) if folder else None,
        disclosures=find_disclosures(analysis),
        services=tuple(around.services.values()),
        upstreams=tuple(around.upstreams.values()),
        answers=_find_answers(settings),
        library_system=settings.library.system,
        library_mode=settings.library.mode,
        https=settings.uses_https,
        message_log=settings.message_log is not None,
        shared_store=not settings.store.url.startswith("sqlite:"),
        register=settings.person_register.system if settings.person_register else "",
        labels=around.maps.labels if around.maps else {},
    )


def _find_answers(settings: Config) -> LibraryAnswers:
    """Return the configured answers for the record of processing activities."""
    contact = settings.contact
    record = settings.record
    return LibraryAnswers(
        name=contact.library_name(),
        email=contact.email,
        phone=contact.phone,
        page=optional_text(contact.page),
        officer=contact.dpo,
        privacy_notice=optional_text(settings.privacy_notice),
        joint_controllers=optional_text(record.joint_controllers),
        security=optional_text(record.security),
        receivers={name: wording.text() for name, wording in record.receivers.items()},
    )
