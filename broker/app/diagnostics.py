"""What an administrator or a probe may ask: readiness, findings, a trace, health, the policies."""

import json
import os
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broker.adapters.telling import application_log
from broker.adapters.web.signup import sign_up_pages
from broker.app import configured_texts, metadata_report
from broker.app.assembly import Parts, assemble, now, read_config
from broker.app.enrolment_operations import NoEnrolment
from broker.core.borrowers.library_setup import ExpectedSetup
from broker.core.entities import Assurance, Service
from broker.core.errors import BrokerError, ConfigurationFaults, Fault, StoreUnavailable
from broker.core.policy.model import PolicySet
from broker.core.ports import Key
from broker.files import attribute_maps
from broker.files.policies import live_policies
from broker.files.settings.config import Config
from broker.files.settings.raw_settings import PREFIX
from broker.files.settings.toml_and_environment import CONFIG
from broker.flows.borrowers.library_proof import PROOF
from broker.flows.login.support_traces import SupportTraces

_PROBED_FOR: Final = timedelta(hours=1)
_LONG_WANTED: Final = timedelta(hours=1)
_PROBE_TIMEOUT: Final = 5
_PORT: Final = 8000  # gunicorn's, where serve.bind names none
_MENDS: Final = {
    "store_unavailable": (
        "see [store] url: its folder must be there and be yours to write, or its Redis answer"
    ),
    "library_unavailable": "see [library] url, and whether the library system is up",
}
# Without a configuration the files of the folder one stands in are meant.
_HERE: Final = Path("policies")


def readiness(parts: Parts) -> Mapping[str, Sequence[str]]:
    """Return, by what is checked, why logins would fail now; nothing where they would not.

    The store is written to: one that can only be read (a full disk, a replica) loses every login.
    """
    moment = now()
    faults: dict[str, Sequence[str]] = {
        "store": _store(parts, moment),
        "metadata": parts.metadata.faults(moment),
        "policies": [],
        "library": [],
    }
    if parts.messages:
        faults["messages"] = parts.messages.faults()
    faults["audit"] = parts.trail.faults() if parts.config.audit.required else ()
    return faults


def _store(parts: Parts, moment: datetime) -> Sequence[str]:
    try:
        parts.store.count(Key("counter", "ready"), 0, moment + _PROBED_FOR, moment)
        return parts.store.faults()
    except BrokerError as error:
        return [f"cannot be used: {error}"]


def notes(parts: Parts) -> Mapping[str, str]:
    """Return what is amiss although logins work: stale policies, lost events, refused feeds."""
    moment = now()
    parts.policies.refresh(moment)
    found = _library_notes(parts) | _enrolment_notes(parts, moment)
    if parts.policies.stale:
        found["policies"] = "stale"
    if lost := parts.trail.lost():
        found["audit"] = f"{lost} events lost"
    if alarms := parts.metadata.alarms(moment):
        found["metadata"] = "; ".join(alarms)
    return found


def _enrolment_notes(parts: Parts, moment: datetime) -> dict[str, str]:
    """Return that cases wait for staff, or wishes for longer than a library system rests."""
    try:
        figures = parts.enrolment_counting.figures()
    except StoreUnavailable:
        return {}  # a fault of the store
    if figures is None:
        return {}
    said = []
    cases = figures.of_state("case")
    if cases:
        said.append(f"{cases} cases wait for staff")
    pins = figures.of_state("pin_given_up")
    if pins:
        said.append(f"{pins} PINs are given up")
    oldest = figures.oldest_wanted
    if oldest and moment - oldest > _LONG_WANTED:
        said.append(f"the oldest of those wanted has waited since {oldest:%Y-%m-%d %H:%M} UTC")
    return {"enrolments": "; ".join(said)} if said else {}


def _library_notes(parts: Parts) -> dict[str, str]:
    """Return the faults of the last proof: logins of people with an account go on."""
    try:
        faults = parts.library_proof.faults()
    except StoreUnavailable:
        return {}  # a fault of the store
    return {"library": "; ".join(map(str, faults))} if faults else {}


def findings(parts: Parts) -> list[str]:
    """Return everything that a careful administrator would want to mend, in sentences."""
    unready: list[str] = []
    for name, faults in readiness(parts).items():
        unready.extend(f"{name}: {fault}" for fault in faults)
    found = [f"metadata: {fault}" for fault in metadata_report.findings(parts)]
    found = unready + [finding for finding in found if finding not in unready]
    for of_one_kind in _FINDINGS:
        found.extend(of_one_kind(parts))
    return found


def _audit(parts: Parts) -> Iterator[str]:
    if parts.config.audit.required:
        return  # among readiness already
    for fault in parts.trail.faults():
        yield f"audit: {fault}"


def _policies(parts: Parts) -> Iterator[str]:
    for fault in (*parts.policies.stale, *parts.policies.current.warnings):
        yield f"policies: {fault}"


def _library(parts: Parts) -> Iterator[str]:
    expected = ExpectedSetup.of(parts.policies.current)
    for fault in parts.library.prove(expected, now() + PROOF):
        yield f"library: {fault}"


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
            if not any("cpr" in each.may_assert for each in upstream.institutions):
                yield f'{where}: without may_assert = ["cpr"] its CPR numbers count as not sent'
            if upstream.least < Assurance.SUBSTANTIAL:
                yield f'{where}: minimum = "low" lets in who has shown no more than a password'
        if upstream.assurance_level:
            what = "assurance_level takes a level of an older scale, which says less than nsis/loa"
            yield f"{where}: {what}"
        if parts.config.upstreams[name].national and not upstream.force_authn:
            what = "lets in at the national eID whoever used the browser before"
            yield f"{where}: force_authn = false {what}"


def _message_log(parts: Parts) -> Iterator[str]:
    if parts.messages and not parts.config.message_log_upstreams():
        what = "no upstream has profile oiosaml3, and message_log.upstreams names none"
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


_FINDINGS: Final[Sequence[Callable[[Parts], Iterator[str]]]] = (
    _audit,
    _policies,
    _library,
    _proxies,
    _sign_up,
    _accessibility,
    _national_eid,
    _message_log,
    _logout,
    _contact,
)


def fit_to_serve(parts: Parts) -> None:
    """Refuse to serve where the store may lose what it acknowledged (docs/reference/design.md#4b).

    ConfigurationFaults with every reason.
    """
    mend = "or set store.accept_loss = true"
    faults = [Fault("store", what, mend) for what in parts.store.faults()]
    if faults:
        raise ConfigurationFaults(faults)


def trace(parts: Parts, reference: str) -> dict[str, str | None] | None:
    """Return what a page's reference stands for, or None."""
    found = SupportTraces(parts.store).find(reference, now())
    if found is None:
        return None
    return {
        "at": found.at.isoformat(timespec="seconds"),
        "step": found.step,
        "upstream": found.upstream,
        "reason": found.reason,
        "enrolment": found.enrolment,
    }


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of the broker on this machine: "ready", "not ready" and why, or "no answer"."""

    status: str
    faults: tuple[str, ...] = ()


def health(config: Config) -> Health:
    """Ask the broker on this machine, past any proxy, at the address and path it listens on."""
    connection = _connection(config.serve.bind)
    try:
        connection.request("GET", urlsplit(config.base_url).path + "/readyz")
        answer = connection.getresponse()
        body = json.loads(answer.read())
    except (OSError, HTTPException, ValueError):
        return Health("no answer")
    finally:
        connection.close()
    if answer.status == 200:
        return Health("ready")
    reasons: list[str] = []
    for name, faults in body.items():
        if isinstance(faults, list):
            reasons.extend(f"{name}: {fault}" for fault in faults)
    return Health("not ready", tuple(reasons))


class _SocketFile(HTTPConnection):
    """HTTP over the socket file that ``serve.bind`` may name."""

    def connect(self) -> None:
        """Connect to the socket file in ``host``."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def _connection(bind: str) -> HTTPConnection:
    """Return a connection to a gunicorn at ``HOST:PORT``, ``:PORT``, ``HOST`` or ``unix:FILE``."""
    if bind.startswith("unix:"):
        connection = _SocketFile("localhost", timeout=_PROBE_TIMEOUT)
        connection.host = bind.removeprefix("unix:").removeprefix("//")
        return connection
    address = urlsplit(f"//{bind}")
    host = address.hostname or "127.0.0.1"
    return HTTPConnection(host, address.port or _PORT, timeout=_PROBE_TIMEOUT)


def configuration() -> Config:
    """Read the configuration; ConfigurationFaults, the first of which is that no file is named."""
    if CONFIG in os.environ:
        return read_config()
    mend = "set it to the path of a broker.toml; docs/configuration.md has a small one"
    unset = Fault(CONFIG, "is not set", mend)
    if not any(name.startswith(PREFIX) for name in os.environ):
        raise ConfigurationFaults([unset])
    try:
        return read_config()
    except ConfigurationFaults as found:
        raise ConfigurationFaults([unset, *found.faults]) from None


def opened() -> Parts:
    """Open every part of the broker that is configured; ConfigurationFaults with all faults."""
    application_log.configure("stderr")
    return assemble(configuration())


def account(error: Exception) -> list[str]:
    """Return the lines that say what went wrong and where to look.

    Of an error that no code foresaw they hold the type only: its text and traceback may quote
    anything, a CPR number too.
    """
    if isinstance(error, ConfigurationFaults):
        return [str(_mended(fault)) for fault in error.faults]
    if isinstance(error, NoEnrolment):
        return [str(error)]
    if isinstance(error, BrokerError):
        return [str(_mended(Fault(error.reason, str(error))))]
    if isinstance(error, OSError) and error.filename:
        return [f"{error.filename}: cannot be used: {error.strerror}"]
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file = frame.filename.rpartition("/")[2]
    kind = type(error).__name__
    return [f"unexpected: {kind} at {file}:{frame.lineno} (please report this line)"]


def _mended(fault: Fault) -> Fault:
    if fault.mend:
        return fault
    return replace(fault, mend=_MENDS.get(fault.where, ""))


def load_policies(folder: Path | None) -> PolicySet:
    """Load the policies of ``folder``, or those configured; ConfigurationFaults with all faults."""
    if folder is not None:
        return live_policies.load(folder, now())
    if CONFIG not in os.environ and _HERE.is_dir():
        return live_policies.load(_HERE, now())
    config = configuration()
    maps = attribute_maps.load(config.attribute_maps)
    services = {name: config.service(name) for name in config.services}
    names = live_policies.NameableInPolicies(services, maps.attributes, services, maps.maps)
    return live_policies.load(config.policies, now(), names)


def run_examples(
    loaded: PolicySet,
    services: Mapping[str, Service] | None,
) -> list[live_policies.Result]:
    """Run every example of the policies."""
    return list(live_policies.run_examples(loaded, services, now()))
