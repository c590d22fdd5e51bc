"""A computer that several people use, and a Firefox that restores what was open: what the next person finds.

Source: docs/reference/design.md#4a.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest

from broker.app import assembly
from broker.demo.run import running_demo
from broker.demo.run.loopback_server import serve_on_loopback
from broker.demo.run.running_demo import Running
from tests.plugins.demo import write_demo
from tests.plugins.deployment import Clock, Deployment, run_deployment
from tests.plugins.firefox import Context, restoring
from tests.plugins.visitor import Visitor

pytestmark = pytest.mark.server

_WHOLE: Final = "140304-4004"  # Asta's number
_NAME: Final = "Ravn"
_IDLE: Final = timedelta(minutes=3, seconds=5)
_AFTER_USE: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Place:
    """A demo whose broker stands in this process, by a clock that a test may move, and sees shared computers only."""

    demo: Running
    clock: Clock

    def sit_down(self, context: Context) -> Visitor:
        """Return a visitor at the first tab."""
        return Visitor(cast("Any", context.pages()[0]), self.demo)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Yield a demo among shared computers."""
    clock = Clock()
    monkeypatch.setattr(assembly, "now", clock.now)
    monkeypatch.setattr("broker.app.application.now", clock.now)
    setting = write_demo(tmp_path / "demo")
    environment = {"BROKER_SHARED_NETWORKS": '["127.0.0.0/8"]'}
    parties = running_demo._parties(setting)
    with ExitStack() as stack:
        deployment = stack.enter_context(run_deployment(setting, tmp_path, clock, environment))
        for name, app in {**parties, "broker": deployment.app}.items():
            stack.enter_context(serve_on_loopback(app, setting.ports.number(name)))
        yield Place(_as_demo(deployment), clock)


def _as_demo(deployment: Deployment) -> Running:
    no_process: Any = None
    return Running(deployment.setting, deployment.koha, deployment.mailbox, broker=no_process, work=no_process)


def open_consent_page(person: Visitor, name: str = "asta") -> str:
    """Log in up to the question what may be sent, and give its address."""
    person.open("library", "/my-loans")
    person.wait_for_page("choose")
    person.press("button[name=upstream][value=wayf]")
    person.pick(name)
    person.wait_for_page("ask")
    return person.page.url


def cookies(computer: Context) -> list[dict[str, Any]]:
    """Return the cookies of the broker that the browser holds."""
    return [each for each in computer.cookies() if each["domain"] == "broker.localhost"]


def test_a_finished_login_is_nobody_s_once_the_browser_is_started_again(place: Place, tmp_path: Path) -> None:
    """Neither the question nor its answer, though history and session cookies come back."""
    with restoring(tmp_path / "profile", "about:blank") as computer:
        person = place.sit_down(computer)
        address = open_consent_page(person)
        assert [each["name"] for each in cookies(computer) if each.get("expiry")] == []
        person.agree()
        person.press("form[data-autopost] button")  # no page leaves by itself here
        person.page.wait_for_selector("#status")
        before = {each["name"] for each in cookies(computer)}
        computer.leave()
    place.clock.ahead += _AFTER_USE
    with restoring(tmp_path / "profile") as computer:
        following = place.sit_down(computer)
        for page in (address, address.removesuffix("/consent")):
            following.page.goto(page)
            following.wait_for_page("error")
            assert _NAME not in following.page.content()
            assert following.find("main button[name=answer], main input[name=SAMLResponse]").count() == 0
        assert before & {each["name"] for each in cookies(computer)}  # it is not that none came back


@pytest.mark.slow
def test_a_question_left_open_hides_the_number_and_is_nobody_s_after_three_minutes(
    place: Place, tmp_path: Path
) -> None:
    """At once after the restart the question stands without a way to the whole number; later it tells nothing."""
    with restoring(tmp_path / "profile", "about:blank") as computer:
        open_consent_page(place.sit_down(computer))
        computer.leave()
    with restoring(tmp_path / "profile") as computer:
        following = place.sit_down(computer)
        following.wait_for_page("ask")
        assert _WHOLE not in following.page.content()
        assert following.page.query_selector("button[name=reveal]") is None
        computer.leave()
    place.clock.ahead += _IDLE
    with restoring(tmp_path / "profile") as computer:
        following = place.sit_down(computer)
        following.wait_for_page("error")
        assert _NAME not in following.page.content()


@pytest.mark.slow
def test_the_button_of_the_last_page_leaves_nothing_to_restore(place: Place, tmp_path: Path) -> None:
    """The browser drops every cookie of the broker and restores none. The open login is over."""
    with restoring(tmp_path / "profile", "about:blank") as computer:
        person = place.sit_down(computer)
        address = open_consent_page(person)
        person.press("button[name=answer][value=no]")
        person.wait_for_page("refuse", "consent_refused")
        person.press("form[action$='/end'] button")
        person.wait_for_page("end")
        assert cookies(computer) == []
        computer.leave()
    with restoring(tmp_path / "profile") as computer:
        following = place.sit_down(computer)
        assert cookies(computer) == []
        following.page.goto(address)
        following.wait_for_page("error")
        assert _NAME not in following.page.content()
