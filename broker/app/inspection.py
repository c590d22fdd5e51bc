"""What an administrator or a probe may ask of a broker's parts: readiness, findings, a trace, the policies."""

import json
import os
import socket
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broker.adapters.telling import application_log
from broker.adapters.web.signup import sign_up_pages
from broker.app import library_texts as wording
from broker.app import metadata_report as parties
from broker.app.assembly import Parts, assemble, now, read_config
from broker.core.entities import Assurance, Service
from broker.core.errors import BrokerError, ConfigurationFaults, Fault
from broker.core.policy.model import PolicySet
from broker.core.ports import Key
from broker.files import attribute_maps
from broker.files.policies import live_policies
from broker.files.settings.config import Config
from broker.files.settings.raw_settings import PREFIX
from broker.files.settings.toml_and_environment import CONFIG
from broker.flows.login.support_traces import SupportTraces

_ASKED_FOR: Final = timedelta(seconds=10)
_PROBED_FOR: Final = timedelta(hours=1)
_PROBE_TIMEOUT: Final = 5
_PORT: Final = 8000  # gunicorn's, where serve.bind names none
_MENDS: Final = {
    "store_unavailable": "see [store] url: its folder must be there and be yours to write, or its Redis answer",
    "library_unavailable": "see [library] url, and whether the library system is up",
}
# Without a configuration the files of the folder one stands in are meant.
_HERE: Final = Path("policies")


def readiness(parts: Parts) -> Mapping[str, Sequence[str]]:
    """Say, by what is checked, why logins would fail now; nothing where they would not.

    The store is written to: one that can only be read (a full disk, a replica) loses every login.
    """
    moment = now()
    kept = {"messages": parts.messages.faults()} if parts.messages else {}
    kept["audit"] = parts.trail.faults() if parts.config.audit.required else ()
    return {
        "store": _store(parts, moment),
        "metadata": parts.metadata.faults(moment),
        "policies": [],
        **kept,
    }


def notes(parts: Parts) -> Mapping[str, str]:
    """Say what is amiss although logins work: the last good policies are in force, or feeds that are refused."""
    moment = now()
    parts.policies.refresh(moment)
    policies = {"policies": "stale"} if parts.policies.stale else {}
    if lost := parts.trail.lost():
        policies["audit"] = f"{lost} events lost"
    return policies | (
        {"metadata": "; ".join(alarms)} if (alarms := parts.metadata.alarms(moment)) else {}
    )


def findings(parts: Parts) -> list[str]:
    """Give everything that a careful administrator would want to mend, a sentence each."""
    found = [f"{name}: {fault}" for name, faults in readiness(parts).items() for fault in faults]
    found += [
        each
        for each in (f"metadata: {fault}" for fault in parties.findings(parts))
        if each not in found
    ]
    if not parts.config.audit.required:
        found += [f"audit: {fault}" for fault in parts.trail.faults()]
    found += [
        f"policies: {fault}" for fault in (*parts.policies.stale, *parts.policies.current.warnings)
    ]
    try:
        found += [f"library: {fault}" for fault in parts.library.faults(now() + _ASKED_FOR)]
    except BrokerError as error:
        found.append(f"library: {error}")
    if parts.config.secure and not parts.config.serve.proxies:
        found.append(
            "serve.proxies is 0: behind a TLS proxy every caller counts as one, and one can lock out all"
        )
    if not parts.config.sign_up.service:
        found.append(
            "sign_up.service is not set: nobody can sign up, change a PIN or see their choices"
        )
    setting = wording.sign_up(parts.config, parts.services)
    if parts.config.sign_up.service and not setting:
        found.append(
            "sign_up.university and sign_up.national_eid are not both set: there are no sign-up pages"
        )
    found += [
        f"content: {fault}"
        for fault in (sign_up_pages.faults(parts.texts, setting) if setting else ())
    ]
    if not parts.config.accessibility_statement and parts.config.secure:
        found.append(
            "accessibility_statement is not set: every page of a public body must link to one"
        )
    return [*found, *_eid(parts), *_lasting(parts), *_unsaid(parts.config)]


def _eid(parts: Parts) -> Iterator[str]:
    """Tell what makes a national eID of little use, or less sure than it looks."""
    for name, each in parts.upstreams.items():
        if each.profile == "oiosaml3" and not any(
            "cpr" in one.may_assert for one in each.institutions
        ):
            yield f'upstreams.{name}: without may_assert = ["cpr"] its CPR numbers count as not sent'
        if each.profile == "oiosaml3" and each.least < Assurance.SUBSTANTIAL:
            yield f'upstreams.{name}: minimum = "low" lets in who has shown no more than a password'
        if each.assurance_level:
            yield f"upstreams.{name}: assurance_level takes a level of an older scale, which says less than nsis/loa"
        if parts.config.upstreams[name].national and not each.force_authn:
            yield f"upstreams.{name}: force_authn = false lets in at the national eID whoever used the browser before"
    if parts.messages and not parts.config.message_log_upstreams():
        yield "message_log keeps nothing: no upstream has profile oiosaml3, and message_log.upstreams names none"


def _lasting(parts: Parts) -> Iterator[str]:
    """Tell of upstreams that a logout is to go on to and cannot: each then says that they stay logged in."""
    for name, each in parts.federated.items():
        found = parts.metadata.current.upstream(each.entity_id, now())
        if found is not None and found.logout is None and each.logout != "never":
            yield f'upstreams.{name}: without a SingleLogoutService no logout is a whole one, unless logout = "never"'


def _unsaid(config: Config) -> Iterator[str]:
    if not config.contact.name:
        yield 'contact.name is not set: pages and mails call the library "the library" and no more'
    if not (config.contact.email or config.contact.phone):
        yield "neither contact.email nor contact.phone is set: who needs help is told of nobody to ask"


def fit_to_serve(parts: Parts) -> None:
    """Refuse to serve where what was acknowledged could be lost: ``ConfigurationFaults`` (design 4b)."""
    lossy = parts.store.faults()
    if lossy:
        raise ConfigurationFaults(
            [Fault("store", each, "or set store.accept_loss = true") for each in lossy]
        )


def trace(parts: Parts, reference: str) -> dict[str, str | None] | None:
    """Give what a page's reference stands for, or None."""
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
    """What the broker on this machine says: "ready", "not ready" and why, or "no answer"."""

    status: str
    faults: tuple[str, ...] = ()


def health(config: Config) -> Health:
    """Ask the broker on this machine, past any proxy, at the address it listens on and below the path it is at."""
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
    found = [(name, faults) for name, faults in body.items() if isinstance(faults, list)]
    return Health(
        "not ready", tuple(f"{name}: {fault}" for name, faults in found for fault in faults)
    )


class _Local(HTTPConnection):
    """HTTP over the socket file that ``serve.bind`` may name."""

    def connect(self) -> None:
        """Open it."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def _connection(bind: str) -> HTTPConnection:
    """Give a connection to where gunicorn binds: ``HOST:PORT``, ``:PORT``, ``HOST`` or ``unix:FILE``."""
    if bind.startswith("unix:"):
        local = _Local("localhost", timeout=_PROBE_TIMEOUT)
        local.host = bind.removeprefix("unix:").removeprefix("//")
        return local
    parts = urlsplit(f"//{bind}")
    return HTTPConnection(
        parts.hostname or "127.0.0.1", parts.port or _PORT, timeout=_PROBE_TIMEOUT
    )


def configuration() -> Config:
    """Read the configuration; ``ConfigurationFaults`` as ``read_config``, saying first where nothing names a file."""
    if CONFIG in os.environ:
        return read_config()
    unset = Fault(
        CONFIG,
        "is not set",
        "set it to the path of a broker.toml; docs/configuration.md has a small one",
    )
    if not any(name.startswith(PREFIX) for name in os.environ):
        raise ConfigurationFaults([unset])
    try:
        return read_config()
    except ConfigurationFaults as found:
        raise ConfigurationFaults([unset, *found.faults]) from None


def opened() -> Parts:
    """Open every part of the broker that is configured; ``ConfigurationFaults`` as ``configuration``."""
    application_log.configure("stderr")
    return assemble(configuration())


def account(error: Exception) -> list[str]:
    """Give the lines that say what went wrong and where to look; nothing of an error that nobody foresaw but its type.

    Its text and traceback may quote anything, a CPR number too.
    """
    if isinstance(error, ConfigurationFaults):
        return [str(_mended(fault)) for fault in error.faults]
    if isinstance(error, BrokerError):
        return [str(_mended(Fault(error.reason, str(error))))]
    if isinstance(error, OSError) and error.filename:
        return [f"{error.filename}: cannot be used: {error.strerror}"]
    at = traceback.extract_tb(error.__traceback__)[-1]
    name = at.filename.rpartition("/")[2]
    return [f"unexpected: {type(error).__name__} at {name}:{at.lineno} (please report this line)"]


def _mended(fault: Fault) -> Fault:
    return fault if fault.mend else replace(fault, mend=_MENDS.get(fault.where, ""))


def load_policies(folder: Path | None) -> PolicySet:
    """Load the policies of ``folder``, or those configured; ``ConfigurationFaults`` with everything wrong in them."""
    if folder is not None:
        return live_policies.load(folder, now())
    if CONFIG not in os.environ and _HERE.is_dir():
        return live_policies.load(_HERE, now())
    config = configuration()
    maps = attribute_maps.load(config.attribute_maps)
    services = {name: config.service(name) for name in config.services}
    return live_policies.load(
        config.policies,
        now(),
        live_policies.NameableInPolicies(services, maps.attributes, services, maps.maps),
    )


def run_examples(
    loaded: PolicySet, services: Mapping[str, Service] | None
) -> list[live_policies.Result]:
    """Run every example of the policies."""
    return list(live_policies.run_examples(loaded, services, now()))


def _store(parts: Parts, moment: datetime) -> Sequence[str]:
    try:
        parts.store.count(Key("counter", "ready"), 0, moment + _PROBED_FOR, moment)
        return parts.store.faults()
    except BrokerError as error:
        return [f"cannot be used: {error}"]
