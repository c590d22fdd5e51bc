"""``broker library survey``: what it counts in a real library system over HTTP, and in how much memory."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems.koha import KohaSettings
from broker.adapters.library_systems.koha_calls import Calls
from broker.cli.main import broker
from broker.core.errors import LibraryUnavailable
from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.koha.simulated_koha import Simulation, create_app
from broker.demo.run.demo_folder import Setting
from broker.demo.run.loopback_server import serve_on_loopback

pytestmark = pytest.mark.server

KEYS = {"client_id": "broker", "client_secret": "demo", "library_id": "AUL", "card_number": "cpr"}
SURVEY = """
import json, re, sys
from pathlib import Path
from broker.adapters.library_systems.koha import KohaSettings
from broker.core.borrowers.library_survey import LibrarySurvey

survey = LibrarySurvey(frozenset({"STUDENT"}))
survey.add_all(KohaSettings.read(json.loads(sys.argv[1])).open().list_borrowers())
most = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())
print(json.dumps([survey.as_mapping(), int(most[1]) // 1024]))
"""


class Site:
    """A simulated Koha at an address."""

    def __init__(self, koha: Simulation, url: str) -> None:
        """Keep both."""
        self.koha, self.url = koha, url

    def add(self, count: int) -> None:
        """Make borrowers, every fifth without a CPR number."""
        first = self.koha.patrons.count()
        for place in range(first, first + count):
            cpr = f"{place % 28 + 1:02}{place // 28 % 12 + 1:02}{place // 336 % 100:02}{place % 10_000:04}"
            body: dict[str, Any] = {"surname": "Desk", "library_id": "AUL", "category_id": "STUDENT"}
            body["userid"] = f"desk.{place}" if place % 5 == 0 else cpr
            self.koha.patrons.create(body | {"cardnumber": f"C-{place}", "email": f"u{place}@post.example"})

    def keys(self) -> dict[str, Any]:
        """Give the keys of the connector."""
        return KEYS | {"url": self.url}


@pytest.fixture(name="site")
def _site() -> Iterator[Site]:
    app = create_app(administration=FOUR_DIGIT_PINS)
    with serve_on_loopback(app) as url:
        yield Site(app.extensions["koha"], url)


def test_a_survey_counts_what_going_live_will_meet(
    site: Site, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In numbers and sentences for people, and in numbers for programs."""
    site.add(500)
    site.koha.patrons.create({"surname": "Old", "library_id": "AUL", "category_id": "TEMP", "userid": "old"})
    monkeypatch.setenv("BROKER_CONFIG", str(setting.config))
    monkeypatch.setenv("BROKER_LIBRARY__URL", site.url)
    monkeypatch.setenv("BROKER_LIBRARY__CLIENT_SECRET", "demo")
    told = CliRunner().invoke(broker, ("library", "survey", "--json"))
    assert told.exit_code == 0, told.output
    counts = json.loads(told.stdout)
    assert (counts["borrowers"], counts["without_cpr"], counts["without_email"]) == (501, 101, 1)
    shown = CliRunner().invoke(broker, ("library", "survey")).stdout
    assert "     501  borrowers in the library system\n" in shown
    assert "desk." not in shown


def test_check_tries_borrowers_only_when_it_is_told_to(
    site: Site, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check may run every day, and makes nothing in the library system then."""
    monkeypatch.setenv("BROKER_CONFIG", str(setting.config))
    monkeypatch.setenv("BROKER_LIBRARY__URL", site.url)
    monkeypatch.setenv("BROKER_LIBRARY__CLIENT_SECRET", "demo")
    made = "POST /api/v1/patrons 201"
    assert "not proven" not in CliRunner().invoke(broker, ("check",)).stdout
    assert made not in site.koha.access.lines()
    assert (
        "not proven: whether a borrower may borrow" in CliRunner().invoke(broker, ("check", "--with-a-borrower")).stdout
    )
    assert made in site.koha.access.lines()
    assert site.koha.patrons.count() == 0


def test_a_borrower_that_is_deleted_meanwhile_hides_nobody(site: Site) -> None:
    """Pages that are counted from the first borrower would move, and one borrower would be left out."""
    site.add(450)
    listed = KohaSettings.read(site.keys()).open().list_borrowers()
    first = next(listed)
    site.koha.patrons.drop(int(first.number))
    assert len([first, *listed]) == 450


def test_a_list_out_of_order_is_no_list(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that drops the query gives the first page for ever."""
    site.add(250)
    whole = Calls.call

    def drop_query(calls: Calls, *given: Any, **more: Any) -> HttpAnswer:
        return whole(calls, *given, **{**more, "body": None})

    monkeypatch.setattr(Calls, "call", drop_query)
    with pytest.raises(LibraryUnavailable, match="drop the query"):
        list(KohaSettings.read(site.keys()).open().list_borrowers())


@pytest.mark.slow
def test_a_large_library_takes_no_more_memory(site: Site) -> None:
    """One bit for each CPR number that there can be (46 MB) and one page, whether of 1,000 borrowers or of 100,000."""
    taken = []
    for count in (1_000, 99_000):
        site.add(count)
        command = [sys.executable, "-c", SURVEY, json.dumps(site.keys())]
        told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path.cwd())
        counts, megabytes = json.loads(told.stdout)
        assert counts["borrowers"] == site.koha.patrons.count()
        taken.append(megabytes)
    assert taken[1] - taken[0] < 60, taken
