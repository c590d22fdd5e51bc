"""Two machines with one store: logins go on while a machine, the Redis master, the keys and the release change.

``make machines`` starts two brokers, each with its own state, keys and ``broker work``, behind nginx. The store is Redis
with three Sentinels, and in a second round a Cluster. It prints a table and exits with 1 on a fault.
"""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from argparse import ArgumentParser
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import requests

from bench.browsers import read_hub_key
from bench.first_logins import arrive, person
from broker.adapters.saml.xml_security import encryption, http_bindings
from broker.core.errors import BrokerError
from broker.demo.check.http_browser import Browser, _Loopback
from broker.demo.check.persona_walk import texts
from broker.demo.library import services
from broker.demo.people.persona import Persona
from broker.demo.run.demo_folder import Setting, write
from broker.demo.run.running_demo import Running, run_parties
from tests.plugins.demo import free_base
from tests.plugins.ports import free_port
from tests.plugins.programs import run_program, wait_until
from tests.plugins.served_broker import is_ready
from tests.simulations.secured_redis import DOWN_AFTER, SecuredRedis, find_program, run_cluster, run_sentinels
from tests.walks.nginx_server import Front, PortsBehind, nginx

_ROOT: Final = Path(__file__).parents[2]
_BEFORE_TAGS: Final = "HEAD~20"  # the old release while none has a tag
_SERVICE: Final = "my-loans"
_ONWARD: Final = "//main//a[contains(@class, 'button')]/@href"
_MADE_WITHIN: Final = 60.0
_RETRY_AFTER: Final = 0.5
_RELOADED_WITHIN: Final = 90.0
_REFUSED_FOR: Final = DOWN_AFTER + 3
# A request reaches a process that is being killed within this time.
_DYING: Final = 0.5
_ANSWERED_WITHIN: Final = 2.0  # requests that nginx passed on before it left the machine out
_VISITORS: Final = 4
_NEW: Final = 4  # each fourth login is a first login
_PAUSE: Final = 0.05
_COLUMNS: Final = "{:<24} {:>7} {:>7} {:>15} {:>8} {:>14} {:>8}"
_HEAD: Final = ("", "logins", "lost", "lost in killed", "refused", "seconds after", "doubled")


class _Ended(Exception):
    """Raised when a login ends without an assertion; ``reason`` is that of the broker's page."""

    def __init__(self, sent: float, what: str, reason: str) -> None:
        super().__init__(what)
        self.sent, self.what, self.reason = sent, what, reason


@dataclass(slots=True)
class Phase:
    """A part of the walk, and what happened to its logins; times are those of ``time.monotonic``."""

    name: str
    killed: float | None = None
    failed_over: float | None = None
    issued: int = 0
    in_killed: int = 0
    refused: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: int = 0

    def record(self, ended: _Ended) -> None:
        """Record a login that ended without an assertion."""
        now = time.monotonic()
        if ended.reason == "store_unavailable" and self.failed_over is not None:
            self.refused.append(now - self.failed_over)
        elif self.killed is not None and ended.sent - _DYING <= self.killed <= now:
            self.in_killed += 1
        else:
            self.lost.append(ended.what)

    def row(self) -> str:
        """Return the phase as a row of the table."""
        seconds = f"{min(self.refused):.1f} to {max(self.refused):.1f}" if self.refused else ""
        counts = (self.issued, len(self.lost), self.in_killed, len(self.refused), seconds, self.doubled)
        return _COLUMNS.format(self.name, *counts)

    def faults(self) -> Iterator[str]:
        """Yield what must not happen."""
        yield from (f"{self.name}: lost: {what}" for what in self.lost)
        late = [each for each in self.refused if each > _REFUSED_FOR]
        yield from (f"{self.name}: refused {each:.1f} s after the master was killed" for each in late)
        if self.doubled:
            yield f"{self.name}: {self.doubled} persons have two borrowers"


@dataclass(slots=True)
class Machine:
    """A machine: ``broker serve`` and ``broker work`` with a state folder and a copy of the keys."""

    setting: Setting
    name: str
    port: int
    stack: ExitStack
    code: Path = _ROOT
    running: "list[subprocess.Popen[Any]]" = field(default_factory=list)

    @property
    def keys(self) -> Path:
        """Return its folder of keys."""
        return self.setting.folder / f"keys-{self.name}"

    @property
    def environ(self) -> dict[str, str]:
        """Return the settings that only this machine has."""
        return {
            "BROKER_CONFIG": str(self.setting.config),
            "BROKER_STATE": str(self.setting.folder / f"state-{self.name}"),
            "BROKER_KEYS": str(self.keys),
            "BROKER_SERVE__BIND": f"127.0.0.1:{self.port}",
            "PYTHONPATH": str(self.code),
        }

    def start(self) -> None:
        """Start both processes and wait until the machine is ready."""
        with (self.setting.folder / f"{self.name}.log").open("ab") as log:
            for command in ("serve", "work"):
                options = {"cwd": self.code, "stdout": log, "stderr": log}
                arguments = (sys.executable, "-m", "broker.cli.main", command)
                self.running.append(self.stack.enter_context(run_program(arguments, self.environ, **options)))
        wait_until(lambda: self.running[0].poll() is not None or is_ready(self.port))
        if self.running[0].poll() is not None:
            raise SystemExit(
                f"{self.name} did not start: {(self.setting.folder / f'{self.name}.log').read_text()[-500:]}"
            )

    def kill(self) -> None:
        """Kill every process of the machine at once."""
        for process in self.running:
            os.killpg(process.pid, signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """Stop the machine as systemd does."""
        for process in self.running:
            process.terminate()
        self._wait()

    def _wait(self) -> None:
        for process in self.running:
            process.wait()
        self.running.clear()

    def reload(self) -> None:
        """Let both processes read their keys again."""
        for process in self.running:
            process.send_signal(signal.SIGHUP)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the broker on this machine."""
        command = (sys.executable, "-m", "broker.cli.main", *arguments)
        environ = {**os.environ, **self.environ}
        return subprocess.run(command, env=environ, cwd=self.code, capture_output=True, text=True, check=False)


@dataclass(slots=True)
class Round:
    """Logins at two machines behind nginx: known persons, and first logins that create a borrower."""

    demo: Running
    front: Front
    store: SecuredRedis
    machines: tuple[Machine, Machine]
    phase: Phase
    phases: list[Phase] = field(default_factory=list)
    known: deque[Persona] = field(default_factory=deque)
    agreed: set[str] = field(default_factory=set)
    peer: services.BrokerAsIdp = field(init=False)
    _persons: int = 0
    _ending: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Let the service read the broker's metadata."""
        self.read_metadata()

    def read_metadata(self) -> None:
        """Read the broker's metadata again, as a service does every day."""
        self.peer = self.demo.peer()

    @contextmanager
    def under_load(self) -> Iterator[None]:
        """Let visitors log in while the block runs."""
        visitors = [threading.Thread(target=self._visit) for _ in range(_VISITORS)]
        for visitor in visitors:
            visitor.start()
        try:
            yield
        finally:
            self._ending.set()
            for visitor in visitors:
                visitor.join()

    def begin(self, name: str) -> Phase:
        """Begin the next phase."""
        sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {name}\n")
        self.phase = Phase(name)
        self.phases.append(self.phase)
        return self.phase

    def _visit(self) -> None:
        while not self._ending.wait(_PAUSE):
            who = self._choose_person()
            self.try_login(who)
            self.known.append(who)

    def _choose_person(self) -> Persona:
        """Return a new person, or the one of the known persons whose last login is longest ago."""
        with self._lock:
            self._persons += 1
            if self._persons % _NEW and len(self.known) > _VISITORS:
                return self.known.popleft()
            return person(self._persons)

    def try_login(self, who: Persona) -> bool:
        """Log a person in and record the outcome in the phase in which the login began."""
        phase = self.phase
        sent = time.monotonic()
        try:
            self._log_in(who)
        except _Ended as ended:
            phase.record(ended)
        except (requests.RequestException, BrokerError, LookupError, StopIteration) as error:
            phase.record(_Ended(sent, f"{type(error).__name__}: {str(error)[:200]}", ""))
        else:
            phase.issued += 1
            return True
        time.sleep(_RETRY_AFTER)
        return False

    def _log_in(self, who: Persona) -> None:
        browser = Browser()
        with browser.session as session:
            session.mount("https://", _Loopback())
            session.verify = str(self.front.certificate)
            session.headers["Connection"] = "close"  # a browser repeats what a closing connection swallowed
            session.hooks["response"] = [_raise_ended]
            setting = self.demo.setting
            arrive(browser, setting, who, self.peer, read_hub_key(setting))
            self._answer_pages(browser, who)
            sent = next(form.fields for form in browser.forms() if "SAMLResponse" in form.fields)
        keys = encryption.DecryptionKeys.load([setting.library.key.encode()])
        landing = services.land(http_bindings.decode_post(sent["SAMLResponse"]), self.peer, keys)
        if landing.status != "Success":
            raise _Ended(0, f"the service received {landing.status}", "")

    def _answer_pages(self, browser: Browser, who: Persona) -> None:
        """Agree, and wait for the account."""
        for form in browser.forms():
            if ("answer", "yes") in form.buttons:
                if who.name in self.agreed:
                    self.phase.lost.append(f"the consent of {who.name}")
                browser.submit(form, answer="yes", remember="yes")
                self.agreed.add(who.name)
        until = time.monotonic() + _MADE_WITHIN
        while browser.mark()[0] == "enrol":
            if time.monotonic() > until:
                raise _Ended(0, f"the account of {who.name} was not made within a minute", "")
            time.sleep(0.2)
            browser.open(texts(browser, _ONWARD)[0])

    def count_doubled(self) -> int:
        """Return how many of the invented persons, who differ in the surname, have several borrowers."""
        names = Counter(str(row["surname"]) for row in self.demo.patrons.patrons.rows())
        return sum(count > 1 for name, count in names.items() if name.startswith("Person"))

    def check_all(self) -> None:
        """Log every person in once more: each has what was confirmed, and one borrower."""
        self.begin("everybody once more")
        with ThreadPoolExecutor(_VISITORS) as visitors:
            list(visitors.map(self.try_login, list(self.known)))
        self.phase.doubled = self.count_doubled()

    def stay_calm(self, seconds: float) -> None:
        """Change nothing; both machines agree."""
        self.begin("nothing happens")
        time.sleep(seconds)
        self._check_fleet()

    def kill_machine(self, seconds: float) -> None:
        """Kill the first machine and start it again."""
        phase = self.begin("a machine is killed")
        time.sleep(seconds / 4)
        phase.killed = time.monotonic()
        self.machines[0].kill()
        time.sleep(seconds / 4)
        self.machines[0].start()
        time.sleep(seconds / 2)

    def kill_master(self, seconds: float) -> None:
        """Kill a master of Redis; start it again after another server has taken over."""
        phase = self.begin("the master fails over")
        master = self.store.find_master()
        time.sleep(seconds / 4)
        phase.failed_over = time.monotonic()
        master.kill()
        time.sleep(_REFUSED_FOR + seconds / 2)
        master.start()
        time.sleep(seconds / 4)

    def rotate_keys(self, seconds: float) -> None:
        """Take every step of a rotation of all keys, and copy the folder to the other machine after each."""
        phase = self.begin("keys are rotated")
        first, second = self.machines
        for _ in ("start", "switch", "finish"):
            until = time.monotonic() + _RELOADED_WITHIN
            while (done := first.run("keys", "rotate", "--now")).returncode and time.monotonic() < until:
                time.sleep(1)
            if done.returncode:
                phase.lost.append(f"keys rotate: {done.stderr}")
            shutil.rmtree(second.keys)
            shutil.copytree(first.keys, second.keys)
            first.reload()
            second.reload()
            time.sleep(seconds / 3)
            self.read_metadata()

    def run_old_release(self, seconds: float, code: Path) -> None:
        """Let the second machine run an old release for a while, then upgrade it."""
        self.begin("an old release beside")
        machine = self.machines[1]
        for machine.code in (code, _ROOT):
            self.front.leave_out(machine.port)
            time.sleep(_ANSWERED_WITHIN)
            machine.stop()
            machine.start()
            self.front.leave_out(None)
            time.sleep(seconds / 2)
        self._check_fleet()

    def _check_fleet(self) -> None:
        """Wait until ``broker fleet`` finds no difference."""
        until = time.monotonic() + _RELOADED_WITHIN
        while (found := self.machines[0].run("fleet")).returncode:
            if time.monotonic() > until:
                self.phase.lost.append(f"broker fleet: {found.stdout} {found.stderr}")
                return
            time.sleep(1)


def _raise_ended(answer: requests.Response, *_: object, **__: object) -> None:
    """Raise _Ended if a page is a refusal of the broker or an error page of nginx."""
    if answer.status_code < 400:
        return
    reason = "".join(texts(Browser(page=answer), "//main/@data-reason"))
    method, path = answer.request.method, answer.url.partition("?")[0]
    sent = time.monotonic() - answer.elapsed.total_seconds()
    raise _Ended(sent, f"{answer.status_code} {reason or 'of nginx'} for {method} {path}", reason)


@contextmanager
def run_machines(folder: Path, store: SecuredRedis) -> Iterator[Round]:
    """Run two machines with this store, nginx and the simulated parties."""
    ports = PortsBehind(free_base(), free_port())
    setting = write(folder / "demo", ports, datetime.now(UTC), store=store.url)
    text = setting.config.read_text().replace("accept_loss = true\n", "")
    text = re.sub(r"(?m)^methods = .*$", 'methods = ["wayf"]', text)
    text = re.sub(r"(?m)^colour = .*$", "", text)  # the old release need not know it
    setting.config.write_text(text + "proxies = 1\n\n[limits]\nbeginnings = 1000000\n")
    with ExitStack() as stack:
        parties = stack.enter_context(run_parties(setting))
        first = Machine(setting, "first", ports.number("broker"), stack)
        second = Machine(setting, "second", free_port(), stack)
        for machine in (first, second):
            shutil.copytree(setting.folder / "keys", machine.keys)
            machine.start()
        front = stack.enter_context(nginx(ports.front, free_port(), first.port, second.port))
        served, working = first.running
        demo = Running(setting, parties.patrons, parties.mailbox, broker=served, work=working)
        yield Round(demo, front, store, (first, second), Phase("before"))


def install_old_release(folder: Path, commit: str) -> Path | None:
    """Install an old release and what it needs into a folder; None without the repository's history."""
    found = commit or _git("describe", "--tags", "--abbrev=0", "HEAD^").decode().strip() or _BEFORE_TAGS
    packed = _git("archive", found)
    if not packed:
        sys.stdout.write(f"no old release runs: Git does not find {found} here\n")
        return None
    sys.stdout.write(f"old release: {found}\n")
    source, target = folder / "source", folder / "installed"
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(source, filter="data")
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--target", target)
    subprocess.run((*command, "--require-hashes", "-r", source / "requirements.txt"), check=True)
    subprocess.run((*command, "--no-deps", "--no-build-isolation", source), check=True)
    return target


def _git(*arguments: str) -> bytes:
    return subprocess.run(("git", *arguments), cwd=_ROOT, capture_output=True, check=False).stdout


def walk(name: str, opened: Callable[..., Any], seconds: float, old: Path | None) -> list[str]:
    """Run all phases with one store, print their rows, and return the faults."""
    with TemporaryDirectory(prefix="machines-") as folder, ExitStack() as stack:
        store = stack.enter_context(opened(Path(folder)))
        site = stack.enter_context(run_machines(Path(folder), store))
        with site.under_load():
            site.stay_calm(seconds)
            site.kill_machine(seconds)
            site.kill_master(seconds)
            site.rotate_keys(seconds)
            if old is not None:
                site.run_old_release(seconds, old)
        site.check_all()
    sys.stdout.write("\n".join(("", _COLUMNS.format(name, *_HEAD[1:]), *(each.row() for each in site.phases), "")))
    return [f"{name}: {fault}" for phase in site.phases for fault in phase.faults()]


def main() -> None:
    """Run both rounds."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="duration of a phase")
    parser.add_argument("--short", action="store_true", help="the round with Sentinels only, with few logins")
    parser.add_argument("--old", default="", help="the old release: a tag or commit (default: the last tag)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything is stopped
    seconds = 4.0 if given.short else given.seconds
    with TemporaryDirectory(prefix="old-release-") as folder:
        old = install_old_release(Path(folder), given.old)
        faults = walk("Redis, Sentinels", lambda at: run_sentinels(at, "redis-server"), seconds, old)
        if not given.short:
            program = find_program()
            faults += walk(f"{program}, Cluster", lambda at: run_cluster(at, program), seconds, old)
    sys.stdout.write("\n".join((*faults, f"{len(faults)} faults\n")))
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
