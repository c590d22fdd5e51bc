"""What an administrator or a probe may ask of a broker's parts: readiness, findings, a trace, the policies."""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from broker import attribute_maps, policies
from broker.config import Config
from broker.core.entities import Service
from broker.core.errors import BrokerError, ConfigurationFaults, Fault
from broker.core.policy import PolicySet
from broker.core.ports import Key
from broker.parts import Parts, now
from broker.traces import Traces

_ASKED_FOR: Final = timedelta(seconds=10)
_PROBE_TIMEOUT: Final = 5
# Without a configuration the files of the folder one stands in are meant.
_HERE: Final = Path("policies")


def readiness(parts: Parts) -> Mapping[str, Sequence[str]]:
    """Say, by what is checked, why logins would fail now; nothing where they would not."""
    moment = now()
    unreadable = _asked(lambda: parts.store.get(Key("counter", "ready"), moment))
    lossy = [] if unreadable else parts.store.faults()
    return {"store": [*unreadable, *lossy], "metadata": parts.metadata.faults(moment), "policies": []}


def findings(parts: Parts) -> list[str]:
    """Give everything that a careful administrator would want to mend, a sentence each."""
    found = [f"{name}: {fault}" for name, faults in readiness(parts).items() for fault in faults]
    found += [f"policies: {fault}" for fault in (*parts.policies.stale, *parts.policies.current.warnings)]
    try:
        found += [f"library: {fault}" for fault in parts.library.faults(now() + _ASKED_FOR)]
    except BrokerError as error:
        found.append(f"library: {error}")
    if not parts.config.accessibility_statement and parts.config.secure:
        found.append("accessibility_statement is not set: every page of a public body must link to one")
    return found


def fit_to_serve(parts: Parts) -> None:
    """Refuse to serve where what was acknowledged could be lost: ``ConfigurationFaults`` (design 4b)."""
    lossy = parts.store.faults()
    if lossy:
        raise ConfigurationFaults([Fault("store", each, "or set store.accept_loss = true") for each in lossy])


def trace(parts: Parts, reference: str) -> dict[str, str | None] | None:
    """Give what a page's reference stands for, or None."""
    found = Traces(parts.store).find(reference, now())
    if found is None:
        return None
    return {
        "at": found.at.isoformat(timespec="seconds"),
        "step": found.step,
        "upstream": found.upstream,
        "reason": found.reason,
        "enrolment": found.enrolment,
    }


def health(config: Config) -> str:
    """Ask the broker on this machine: "ready", "not ready", or "no answer"."""
    try:
        with urlopen(f"http://{config.serve.bind}/readyz", timeout=_PROBE_TIMEOUT) as answer:
            return "ready" if answer.status == 200 else "not ready"
    except URLError as error:
        return "not ready" if getattr(error, "code", None) == 503 else "no answer"


def load_policies(folder: Path | None, read_config: Callable[[], Config]) -> PolicySet:
    """Load the policies of ``folder``, or those configured; ``ConfigurationFaults`` with everything wrong in them."""
    if folder is not None:
        return policies.load(folder, now())
    if "BROKER_CONFIG" not in os.environ and _HERE.is_dir():
        return policies.load(_HERE, now())
    config = read_config()
    maps = attribute_maps.load(config.attribute_maps)
    services = {name: config.service(name) for name in config.services}
    return policies.load(config.policies, now(), policies.Names(services, maps.attributes, services, maps.maps))


def run_examples(loaded: PolicySet, services: Mapping[str, Service] | None) -> list[policies.Result]:
    """Run every example of the policies."""
    return list(policies.run_examples(loaded, services, now()))


def _asked(question: Callable[[], object]) -> list[str]:
    try:
        question()
    except BrokerError as error:
        return [error.reason]
    return []
