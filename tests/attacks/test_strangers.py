"""Whoever has shown no authentication costs nothing that lasts: no trace, no trail, no caller's reference."""

import sqlite3
from pathlib import Path

import pytest

from broker.adapters.trail.audit_trail import KeptTrail
from broker.app import diagnostics
from tests.plugins.house import House, form, found, mark

# Class 31: what a browser or its owner can make of addresses, cookies and the proxy in front.
pytestmark = pytest.mark.attack(31)


def reference_on(page: object) -> str:
    """Give the reference of a page."""
    return found(page, "//*[@class='reference']//strong/text()")  # type: ignore[arg-type]


def kept(house: House) -> list[tuple[str, int]]:
    """Give how many records of each kind the store has, whether they have expired or not."""
    file = house.parts.config.store.url.removeprefix("sqlite:")
    with sqlite3.connect(file) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(name, store.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name in sorted(tables)]  # noqa: S608


def trail_size(house: House) -> int:
    """Give the bytes of the audit trail."""
    trail = house.parts.trail
    assert isinstance(trail, KeptTrail)
    return sum(file.stat().st_size for file in Path(trail.journal.folder).iterdir())


def test_looking_up_logins_that_do_not_exist_leaves_nothing(house: House) -> None:
    """Each such page left 659 bytes for thirty days and 186 on the trail: two a second fill a store in nine days."""
    person = house.person()
    person.get(f"{person.base}/login/{'0' * 32}")
    before = kept(house), trail_size(house)
    pages = [person.get(f"{person.base}/login/{number:032x}") for number in range(1500)]
    assert {page.status_code for page in pages} == {410}
    assert (kept(house), trail_size(house)) == before


def test_a_strangers_page_carries_a_reference_that_decodes_itself(house: House) -> None:
    """The desk reads minute, step and reason of it; nothing was stored to find."""
    person = house.person()
    page = person.get(f"{person.base}/login/{'0' * 32}")
    told = diagnostics.trace(house.parts, reference_on(page))
    assert told is not None
    assert (told["step"], told["reason"]) == ("/login/<name>", "transaction_gone")


def test_posts_with_a_made_up_cookie_take_no_callers_reference(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """3,700 of them used up the hour's traces: whoever was refused after them had a reference that nobody found."""
    monkeypatch.setattr("broker.flows.login.support_traces._MOST_AN_HOUR", 30)
    stranger = house.person()
    stranger.client.set_cookie("b-" + "0" * 16, "0" * 64, domain="broker.localhost")
    # The same login, bound to the made-up cookie, is good for as many refusals as anybody likes.
    chooser = stranger.ask()
    for _ in range(40):
        assert stranger.post(form(chooser)[0], {"token": "x"}).status_code == 403
        assert stranger.post(f"{chooser.request.path}/x", {}).status_code == 404
    caller = house.person().log_in("mia")
    assert mark(caller)[0] == "refuse"
    told = diagnostics.trace(house.parts, reference_on(caller))
    assert told is not None
    assert told["step"] == "refuse"


def test_refusals_of_strangers_stay_off_the_trail(house: House) -> None:
    """A message that is no SAML, a form without a token, a passive request: at full speed 17 GB a day."""
    person = house.person()
    chooser = person.ask()
    before = kept(house), trail_size(house)
    for _ in range(3):
        person.deliver("/saml/sp/wayf/acs", {"SAMLResponse": "AAAA"})
        person.post(form(chooser)[0], {"token": "x"})
        person.get(f"{person.base}/error?code=OTHER_ERROR")
        person.get(f"{person.base}/no/such/page")
    assert (kept(house), trail_size(house)) == before


def test_a_refused_person_is_on_the_trail_and_found_by_the_reference(house: House) -> None:
    """Whoever has logged in keeps both: it is their login, and cost them one."""
    before = trail_size(house)
    page = house.person().log_in("mia")
    assert len(reference_on(page)) == 8
    assert diagnostics.trace(house.parts, reference_on(page)) is not None
    assert trail_size(house) > before
