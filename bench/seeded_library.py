"""A simulated Koha or Alma with many borrowers that the broker made, some of whom differ: a process of its own."""

import argparse
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from flask import Flask

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState, Granted
from broker.demo.alma import simulated_alma
from broker.demo.alma.administration import Administration, ApiKey
from broker.demo.koha import simulated_koha
from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.run.demo_library import CLIENT_SECRET
from broker.demo.run.loopback_server import serve_on_loopback

_KINDS: Final = ("category", "expiry", "card", "mark", "leaver", "gone", "pin_unused")
# The mark of an Alma's borrower is its number: nobody clears it.
KINDS: Final[Mapping[str, tuple[str, ...]]] = {"koha": _KINDS, "alma": tuple(kind for kind in _KINDS if kind != "mark")}
_LASTS: Final = timedelta(days=600)
_SOON: Final = timedelta(days=20)
_PAST: Final = timedelta(days=20)
_MADE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_EMAIL: Final = "synthetic@example.org"


@dataclass(frozen=True, slots=True)
class Seed:
    """So many borrowers of a library system, of whom the first ``differing`` differ, each kind in its turn."""

    system: str
    borrowers: int
    differing: int

    def kind(self, serial: int) -> str:
        """Return how a borrower differs, "" for one that does not."""
        kinds = KINDS[self.system]
        if serial >= self.differing:
            return ""
        return kinds[serial % len(kinds)]

    def numbers(self) -> range:
        """Return the serial of each."""
        return range(self.borrowers)

    def of_each_kind(self) -> dict[str, int]:
        """Return how many differ, by kind."""
        found = dict.fromkeys(KINDS[self.system], 0)
        for serial in range(self.differing):
            found[self.kind(serial)] += 1
        return found


def cpr(serial: int) -> str:
    """Return a synthetic CPR number: none that was ever given ends in 000 and a digit."""
    rest, day = divmod(serial, 28)
    rest, month = divmod(rest, 12)
    century, year = divmod(rest, 100)
    return f"{day + 1:02}{month + 1:02}{year:02}000{century}"


def enrolment(seed: Seed, serial: int, person: str) -> Enrolment:
    """Return the finished enrolment of a borrower, as its last login left it."""
    made = _granted(seed, serial)
    granted = Granted("student", made.category, made.expires or date.min)
    done = Enrolment(made.mark or "", EnrolmentState.DONE, _MADE, None, person, granted=granted)
    return replace(done, number=made.number, category=made.category, expires=made.expires, creates=1, pin_mailed=_MADE)


def _granted(seed: Seed, serial: int) -> Borrower:
    """Return a borrower as it was granted."""
    lasts = {"leaver": -_PAST, "pin_unused": _SOON}
    ends = _today() + lasts.get(seed.kind(serial), _LASTS)
    number = cpr(serial)
    # No two digits of it stand side by side, or ten of them might be read as a CPR number.
    mark = "".join(f"a{digit}" for digit in f"{serial:016x}")
    own = f"L-{mark}" if seed.system == "alma" else str(serial + 1)
    return Borrower(own, "STUDENT", ends, mark, email=_EMAIL, cpr=number, card=number)


def _present(seed: Seed, serial: int) -> Borrower:
    """Return the same as it is by now: who is gone is made, and deleted."""
    made = _granted(seed, serial)
    changed: Mapping[str, Mapping[str, Any]] = {
        "category": {"category": "PRIVATE"},
        "expiry": {"expires": _today() + _SOON},
        "card": {"card": None},
        "mark": {"mark": None},
    }
    return replace(made, **changed.get(seed.kind(serial), {}))


def _today() -> date:
    return datetime.now(UTC).date()


def application(seed: Seed) -> Flask:
    """Return the simulated system with its borrowers."""
    return _MAKERS[seed.system](seed)


def _koha(seed: Seed) -> Flask:
    clients = {"broker": simulated_koha.Client(CLIENT_SECRET)}
    app = simulated_koha.create_app(_patrons(seed), administration=FOUR_DIGIT_PINS, clients=clients)
    koha: simulated_koha.Simulation = app.extensions["koha"]
    for serial in _gone(seed):
        koha.patrons.drop(serial + 1)
    return app


def _patrons(seed: Seed) -> Iterator[dict[str, Any]]:
    for serial in seed.numbers():
        there = _present(seed, serial)
        yield {
            "surname": "Synthetic",
            "library_id": "AUL",
            "userid": there.cpr,
            "category_id": there.category,
            "cardnumber": there.card,
            "statistics_1": there.mark,
            "email": there.email,
            "expiry_date": f"{there.expires}",
            "extended_attributes": [{"type": "CPR", "value": there.cpr}],
        }


def _alma(seed: Seed) -> Flask:
    calls = {"per_second": 1_000, "per_day": 100_000_000}
    administration = Administration(keys={CLIENT_SECRET: ApiKey()}).changed(**calls)
    app = simulated_alma.create_app(_users(seed), administration=administration)
    alma: simulated_alma.Simulation = app.extensions["alma"]
    for serial in _gone(seed):
        alma.users.drop(_granted(seed, serial).number)
    return app


def _users(seed: Seed) -> Iterator[dict[str, Any]]:
    for serial in seed.numbers():
        there = _present(seed, serial)
        numbers = {"CPR": there.cpr, "BARCODE": there.card}
        email = {"preferred": True, "email_address": there.email, "email_type": [{"value": "personal"}]}
        yield {
            "record_type": {"value": "PUBLIC"},
            "account_type": {"value": "EXTERNAL"},
            "external_id": "SIS",
            "primary_id": there.number,
            "last_name": "Synthetic",
            "user_group": {"value": there.category},
            "expiry_date": f"{there.expires}Z",
            "user_identifier": [
                {"id_type": {"value": kind}, "value": value} for kind, value in numbers.items() if value
            ],
            "contact_info": {"email": [email]},
        }


def _gone(seed: Seed) -> Iterator[int]:
    for serial in range(seed.differing):
        if seed.kind(serial) == "gone":
            yield serial


_MAKERS: Final = {"koha": _koha, "alma": _alma}


def main() -> None:
    """Serve until the process is ended; a line says when it answers."""
    parser = argparse.ArgumentParser(prog="bench.seeded_library")
    parser.add_argument("system", choices=list(_MAKERS))
    for name in ("port", "borrowers", "differing"):
        parser.add_argument(name, type=int)
    parser.add_argument("--slow", type=float, default=0.0, help="seconds that each call takes")
    asked = parser.parse_args()
    app = application(Seed(asked.system, asked.borrowers, asked.differing))
    app.extensions[asked.system].faults.slow = asked.slow
    with serve_on_loopback(app, asked.port):
        print("ready", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
