"""Kills workers with ``kill -9`` during first logins on both stores: each person gets one borrower and loses nothing.

``make kills`` kills 50 web workers and background workers of a real ``broker serve`` on SQLite, and as many on Redis.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

import requests

from bench import stores
from bench.brokers import Setup, broker_running
from bench.browsers import read_broker, read_hub_key
from bench.first_logins import arrive, cpr_of, person
from broker.demo.check.http_browser import Browser
from broker.demo.check.persona_walk import texts
from broker.demo.people.persona import Persona
from broker.demo.run.running_demo import Running, start_command
from tests.plugins.programs import list_children, wait_until

_CALL: Final = 0.05  # response time of the library system in seconds
_ONWARD: Final = "//main//a[contains(@class, 'button')]/@href"
_PATIENCE: Final = 60.0


@dataclass
class Logins:
    """First logins at a demo. ``agreed`` and ``accepted`` hold the persons whose consent or account was confirmed."""

    demo: Running
    random: Random
    work: subprocess.Popen[bytes]
    agreed: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    killed: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def log_in(self, who: Persona, *, patient: bool = True) -> None:
        """Log a person in to the assertion. With ``patient=False`` stop as soon as the account is requested.

        Raises RequestException if the worker dies meanwhile.
        """
        setting, browser = self.demo.setting, Browser()
        arrive(browser, setting, who, read_broker(setting), read_hub_key(setting))
        ends = time.monotonic() + _PATIENCE
        for form in browser.forms():
            if ("answer", "yes") in form.buttons:
                if who.name in self.agreed:
                    self.lost.append(f"the consent of {who.name}")
                browser.submit(form, answer="yes", remember="yes")
        while b"SAMLResponse" not in (browser.page.content if browser.page else b""):
            assert browser.mark()[0] == "enrol", browser.mark()
            assert time.monotonic() < ends, "an account that was not made in a minute"
            self.agreed.add(who.name)
            self.accepted.add(who.name)
            if not patient:
                return
            time.sleep(0.2)
            browser.open(texts(browser, _ONWARD)[0])
        self.agreed.add(who.name)
        self.accepted.add(who.name)

    def log_in_and_kill(self, who: Persona) -> None:
        """Kill a worker at a random moment of a first login. A login that this interrupts is abandoned."""
        killer = threading.Timer(self.random.uniform(0, 0.8), self._kill)
        killer.start()
        with suppress(requests.RequestException):
            self.log_in(who, patient=False)
        killer.join()
        wait_until(lambda: len(list_children(self.demo.broker.pid)) > 1)

    def _kill(self) -> None:
        kind = self.random.choice(["web", "work"])
        if kind == "web":
            os.kill(self.random.choice(sorted(list_children(self.demo.broker.pid))), signal.SIGKILL)
        else:
            self.work.kill()
            self.work.wait()
            self.work = start_command(self.demo.setting, "work")
        self.killed[kind] += 1
        sys.stderr.write(".")
        sys.stderr.flush()

    def borrowers(self, who: Persona) -> int:
        """Return how many borrowers a person has."""
        return sum(row["userid"] == cpr_of(who) for row in self.demo.patrons.patrons.rows())

    def run(self, kills: int) -> None:
        """Kill once during each first login. Then every person logs in, and nothing that was confirmed is lost."""
        persons = [person(number) for number in range(kills)]
        self.demo.patrons.faults.slow = _CALL
        for who in persons:
            self.log_in_and_kill(who)
        accepted = [who for who in persons if who.name in self.accepted]
        wait_until(lambda: all(self.borrowers(who) for who in accepted))
        for who in persons:
            self.log_in(who)
        assert [self.borrowers(who) for who in persons] == [1] * kills, "not one borrower each"
        assert self.lost == []


def main() -> None:
    """Kill workers on each store and print the results."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=22)
    parser.add_argument("--stores", nargs="+", default=["SQLite", "Redis"])
    given = parser.parse_args()
    for name in given.stores:
        with stores.STORES[name]() as store, broker_running(Setup(store=store, workers=2)) as demo:
            logins = Logins(demo, Random(given.seed), demo.work)
            try:
                logins.run(given.kills)
            finally:
                logins.work.terminate()
            assert logins.killed.total() == given.kills
            accepted = f"{len(logins.accepted)} persons have one borrower each, nothing confirmed is lost"
            sys.stdout.write(f"{name}: killed {dict(logins.killed)}; {accepted}\n")


if __name__ == "__main__":
    main()
