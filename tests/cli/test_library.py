"""``broker library survey``: what it counts in a real library system over HTTP, and how it reads the borrowers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems.koha.koha_calls import Calls
from broker.adapters.library_systems.koha.koha_library import KohaSettings
from broker.cli.main import broker
from broker.core.errors import LibraryUnavailable
from broker.demo.koha.database.administration import FOUR_DIGIT_PINS
from broker.demo.koha.simulated_koha import Simulation, create_app
from broker.demo.run.demo_folder import Setting
from broker.demo.run.loopback_server import serve_on_loopback

pytestmark = pytest.mark.server

KEYS = {"client_id": "broker", "client_secret": "demo", "library_id": "AUL", "card_number": "cpr"}


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
    assert made not in site.koha.access
    assert (
        "not proven: the circulation rules allow the borrowers to borrow"
        in CliRunner().invoke(broker, ("check", "--with-a-borrower")).stdout
    )
    assert made in site.koha.access
    assert site.koha.patrons.count() == 0


def test_a_list_out_of_order_is_no_list(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that drops the query gives the first page for ever."""
    site.add(250)
    whole = Calls.call

    def drop_query(calls: Calls, *given: Any, **more: Any) -> HttpAnswer:
        return whole(calls, *given, **{**more, "body": None})

    monkeypatch.setattr(Calls, "call", drop_query)
    with pytest.raises(LibraryUnavailable, match="drop the query"):
        list(KohaSettings.read(site.keys()).open().list_borrowers())
