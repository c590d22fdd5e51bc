"""``broker work``, the only one on its machine, and the thread of a web worker that reloads."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.app.application import create_app
from broker.app.assembly import Parts, assemble
from broker.app.server import refresh
from broker.app.work_lock import hold_work_lock, is_work_running
from broker.configuration.settings.config import load
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.core.errors import ConfigurationFaults, StoreUnavailable
from broker.core.identity.cpr import birth_date
from broker.demo.koha import simulated_koha
from broker.demo.koha.database.administration import FOUR_DIGIT_PINS
from broker.demo.run.demo_folder import Setting
from broker.demo.run.demo_library import CLIENT_SECRET
from broker.demo.run.loopback_server import serve_on_loopback
from broker.demo.run.mail_server import Mailbox
from broker.use_cases.storage.person_records import person_key
from broker.use_cases.storage.records import WRITES
from tests.plugins.ports import free_port
from tests.plugins.programs import run_program, wait_until

pytestmark = pytest.mark.server

CPR = "1403044004"
ASTA, KARLA = "asta", "karla"  # person ids


def test_only_one_process_holds_the_lock(tmp_path: Path) -> None:
    """A second process is refused, a look at the lock does not take it, and its end frees it."""
    assert not is_work_running(tmp_path)
    for _ in range(2):
        with hold_work_lock(tmp_path):
            assert is_work_running(tmp_path)
            with pytest.raises(ConfigurationFaults), hold_work_lock(tmp_path):
                pass
        assert not is_work_running(tmp_path)


# The process


@pytest.fixture
def koha() -> Iterator[tuple[Any, str]]:
    """Give a simulated library system and its address."""
    system = simulated_koha.create_app(
        [], administration=FOUR_DIGIT_PINS, clients={"broker": simulated_koha.Client(CLIENT_SECRET)}
    )
    with serve_on_loopback(system) as url:
        yield system.extensions["koha"], url


@pytest.fixture
def smtp() -> int:
    """Give the port of the mail server."""
    return free_port()


@pytest.fixture
def mailbox(smtp: int) -> Iterator[Mailbox]:
    """Give a mail server."""
    found = Mailbox(smtp, free_port())
    with found.listen():
        yield found


@pytest.fixture
def environ(setting: Setting, tmp_path: Path, koha: tuple[Any, str], smtp: int, mailbox: Mailbox) -> dict[str, str]:
    """Give the environment of a broker with a new state folder."""
    del mailbox  # it is there
    return {
        "BROKER_CONFIG": str(setting.config),
        "BROKER_STATE": str(tmp_path / "state"),
        "BROKER_STORE__URL": f"sqlite:{tmp_path / 'state' / 'broker.db'}",
        "BROKER_LIBRARY__URL": koha[1],
        "BROKER_MAIL__URL": f"smtp://127.0.0.1:{smtp}",
    }


@pytest.fixture
def parts(setting: Setting, environ: dict[str, str]) -> Parts:
    """Give what a web worker has open."""
    return assemble(load(setting.config, environ))


@contextmanager
def working(environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``broker work``."""
    command = [sys.executable, "-m", "broker.cli.main", "work"]
    with log.open("ab") as out, run_program(command, environ, stdout=out, stderr=out) as running:
        yield running


def runs(parts: Parts, running: subprocess.Popen[bytes]) -> bool:
    """Say whether this process works."""
    return running.poll() is None and is_work_running(parts.config.state)


def make_wanted_borrower(number: int = 0) -> WantedBorrower:
    """Return the wanted borrower of a student with an invented number."""
    cpr = ("1403044004", "1403044012")[number]
    fields = (WantedField("surname", "Prøvesen", "always"), WantedField("firstname", "Åse", "always"))
    person = PersonFacts("Prøvesen", "Åse", birth_date(cpr))
    return WantedBorrower(cpr, "STUDENT", (), date(2036, 1, 1), fields, "aase@example.org", person=person)


def is_made(parts: Parts, person_id: str) -> bool:
    """Say whether an enrolment has been carried out."""
    found = parts.enrolments.read(person_id)
    return found is not None and found.state is EnrolmentState.DONE


def test_an_enrolment_is_carried_out_by_another_process_while_a_request_waits(
    parts: Parts, environ: dict[str, str], tmp_path: Path
) -> None:
    """The request waits for it; without broker work it goes on with the enrolment pending."""
    made = parts.enrolments.request(ASTA, make_wanted_borrower())
    assert made
    assert parts.enrolments.wait(ASTA, 0.3) == made
    with working(environ, tmp_path / "log") as running:
        wait_until(lambda: runs(parts, running))
        wait_until(lambda: is_made(parts, ASTA))
        parts.enrolments.request(KARLA, make_wanted_borrower(1))
        waited = parts.enrolments.wait(KARLA, 60)
        assert waited is not None
        assert (waited.state, waited.id == made.id) == (EnrolmentState.DONE, False)


@pytest.mark.slow(seconds=12)
@pytest.mark.parametrize("calls", [2, pytest.param(4, marks=pytest.mark.full)])
def test_killed_after_any_call_it_leaves_one_borrower_and_one_welcome_mail(
    parts: Parts, environ: dict[str, str], koha: tuple[Any, str], mailbox: Mailbox, calls: int
) -> None:
    """The next process goes on: one borrower, and one mail with a link to choose a PIN."""
    library, _ = koha
    log = parts.config.state / "log"
    library.faults.slow = 0.1
    with working(environ, log) as first:
        wait_until(lambda: runs(parts, first))
        before = len(library.access)
        parts.enrolments.request(ASTA, make_wanted_borrower())
        wait_until(lambda: len(library.access) >= before + calls or is_made(parts, ASTA))
        first.kill()
    library.faults.slow = 0
    with working(environ, log):
        wait_until(lambda: is_made(parts, ASTA), 60)
        wait_until(mailbox.mails)
    assert len([row for row in library.patrons.rows() if row["userid"] == CPR]) == 1
    assert len(mailbox.mails()) == 1


def test_a_second_one_does_not_start_and_a_reload_is_taken_if_it_is_sound(
    setting: Setting, parts: Parts, environ: dict[str, str], tmp_path: Path
) -> None:
    """The second process exits with 78 and one sentence.

    SIGHUP applies a sound configuration; a fault is logged and changes nothing. SIGTERM ends the process in order.
    """
    copied = tmp_path / "broker.toml"
    text = setting.config.read_text()
    copied.write_text(text)
    environ |= {"BROKER_CONFIG": str(copied)}
    environ |= {"BROKER_SITE": str(setting.folder), "BROKER_KEYS": str(setting.folder / "keys")}
    log, log_of_second = tmp_path / "log", tmp_path / "second"

    def count_events(line: str) -> int:
        return log.read_text().count(f'"event": "{line}"')

    with working(environ, log) as running:
        wait_until(lambda: count_events("work_started") == 1)
        with working(environ, log_of_second) as second:
            assert second.wait(60) == 78
        assert "another broker work runs on this machine" in log_of_second.read_text()
        copied.write_text(text.replace("[library]", "[library"))
        running.send_signal(signal.SIGHUP)
        wait_until(lambda: count_events("reload_refused"))
        copied.write_text(text)
        running.send_signal(signal.SIGHUP)
        wait_until(lambda: count_events("work_started") == 2)
        assert runs(parts, running)
        parts.enrolments.request(ASTA, make_wanted_borrower())
        wait_until(lambda: is_made(parts, ASTA))
        running.terminate()
        assert running.wait(60) == 0
    assert "Traceback" not in log.read_text()


def test_a_record_of_a_newer_release_is_left_to_that(parts: Parts) -> None:
    """Work that is older than the web workers changes nothing of what it cannot read, and keeps no lease on it."""
    parts.enrolments.request(ASTA, make_wanted_borrower())
    store, key, now = parts.store, person_key(ASTA), datetime.now(UTC)
    kept = store.get(key, now)
    assert kept
    newer = kept._replace(value=bytes([WRITES + 1]) + kept.value[1:], version="newer")
    assert store.put(key, newer, kept.version, now)
    with pytest.raises(StoreUnavailable):
        parts.person_worker.step()
    now = datetime.now(UTC)
    assert store.get(key, now) == newer
    assert store.claim("person", None, "of the newer", now + timedelta(seconds=5), now) == (key, newer)


# The web worker's one thread


@pytest.fixture
def folder(setting: Setting, tmp_path: Path) -> Path:
    """Give a folder of a broker that a test may edit."""
    shutil.copytree(setting.folder, tmp_path / "own")
    return tmp_path / "own"


def test_no_request_puts_policies_or_metadata_in_force(folder: Path) -> None:
    """A change on disk takes effect when the thread has called ``refresh``."""
    app = create_app(load(folder / "broker.toml", {}))
    parts: Parts = app.extensions["broker"]
    policies, metadata = parts.policies.current, parts.metadata.current
    student = folder / "policies" / "student.yaml"
    student.write_text(student.read_text().replace("precedence: 20", "precedence: 21"))
    (folder / "metadata" / "myprint.xml").unlink()
    for path in ("/readyz", "/metrics", "/sign-up", "/saml/idp/metadata", "/"):
        app.test_client().get(path)
    assert (parts.policies.current, parts.metadata.current) == (policies, metadata)
    for _ in range(3):  # a file of the folder is read when it has been the same for two looks
        refresh(parts)
    assert parts.policies.current.digest != policies.digest
    assert len(metadata.services) - len(parts.metadata.current.services) == 1
