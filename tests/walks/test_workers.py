"""Two workers, one state: logins that cross them, races, sudden deaths, and nothing personal left lying about."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser
from broker.demo.people.personas import PERSONAS, Persona, persona
from broker.demo.run.demo_folder import SERVICES
from broker.demo.run.running_demo import Running, run_demo, start_command
from tests.plugins.demo import write_demo
from tests.plugins.folder_contents import read_folder_contents
from tests.plugins.programs import list_children, wait_until

pytestmark = pytest.mark.server

CPRS = tuple(
    value.rpartition(":")[2] for person in PERSONAS for value in person.attributes.get("schacPersonalUniqueID", ())
)


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.full)])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """Yield a separate demo for each store."""
    store = "sqlite:state/broker.db" if request.param == "sqlite" else request.getfixturevalue("redis_url")
    setting = write_demo(tmp_path / "demo", store=store)
    with run_demo(setting) as demo:
        yield demo


def log_in(demo: Running, name: str, way: str, *, patient: bool = True) -> Browser:
    """Walk one persona to the end in a new browser."""
    browser = Browser()
    persona_check.walk(browser, demo.setting.ports.origin("library"), persona(name), way, patient=patient)
    return browser


def read_borrower_number(browser: Browser) -> str:
    """Return the borrower number on the library's page."""
    return "".join(persona_check.texts(browser, "//td[@id='borrower']/text()"))


@contextmanager
def restart_worker(demo: Running) -> Iterator[None]:
    """Start ``broker work`` again while the block runs, as systemd does."""
    work = start_command(demo.setting, "work")
    try:
        yield
    finally:
        work.terminate()
        work.wait(60)


def test_twenty_first_logins_at_once_are_one_borrower(fresh: Running) -> None:
    """Twenty browsers of one person, spread over both workers, leave one borrower and all land with its number."""
    with ThreadPoolExecutor(20) as pool:
        numbers = set(pool.map(lambda _: read_borrower_number(log_in(fresh, "asta", "wayf")), range(20)))
    assert len(numbers) == 1
    assert numbers != {""}
    rows = [row for row in fresh.patrons.patrons.rows() if row["userid"] == "1403044004"]
    assert len(rows) == 1


def test_a_request_survives_the_death_of_every_worker(fresh: Running) -> None:
    """An accepted enrolment is carried out after kill -9 of all workers and after the library has come back."""
    fresh.patrons.faults.down = True
    browser = log_in(fresh, "asta", "wayf", patient=False)
    assert browser.mark()[0] == "enrol"
    workers = list_children(fresh.broker.pid)
    assert len(workers) == 2
    for worker in workers | {fresh.work.pid}:
        os.kill(worker, signal.SIGKILL)
    fresh.work.wait(60)
    fresh.patrons.faults.down = False
    with restart_worker(fresh):
        wait_until(lambda: any(row["userid"] == "1403044004" for row in fresh.patrons.patrons.rows()))
        assert read_borrower_number(log_in(fresh, "asta", "wayf")) != ""


def test_every_persona_ends_as_expected_and_leaves_nothing_personal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A persona is refused with its reason, or gets one borrower of its category.

    After that no CPR number stands in log, store file or any page that the broker sent.
    """
    # A demo of its own: codes are mailed three times a day, and other walks need them too.
    setting = write_demo(tmp_path / "demo")
    seen: list[bytes] = []
    monkeypatch.setattr(persona_check, "Browser", partial(Browser, seen=seen))
    with run_demo(setting) as demo:
        reports = list(persona_check.check(demo))
        folder = setting.folder
        left = [*dict(read_folder_contents(folder / "state")).values(), (folder / "broker.log").read_bytes()]
        visited = [octets for path, octets in read_folder_contents(folder / "state") if path.name != "report.json"]
    assert [each.persona for each in reports if not each.ok] == []
    pages = [page for page in seen if b"data-step" in page]
    assert len(pages) > len(PERSONAS)
    for cpr in CPRS:
        for spelling in (cpr.encode(), f"{cpr[:6]}-{cpr[6:]}".encode()):
            assert not any(spelling in octets for octets in left)
            assert not any(spelling in page for page in pages)
    names = [name for person in PERSONAS for name in _names(person)]
    assert not any(name.encode() in octets for name in names for octets in left[:-1])
    # The report names every service, even without visits.
    services = [site[2] for site in SERVICES.values()]
    assert not any(name.encode() in octets for name in services for octets in visited)


def _names(person: Persona) -> tuple[str, ...]:
    """Give what an institution calls a person: no plain text in the store."""
    return (*person.attributes.get("eduPersonPrincipalName", ()), *person.attributes.get("mail", ()))
