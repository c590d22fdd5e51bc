"""Logouts that do not come to their end at once: whom a later one asks, and what a page of ours leads on with."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from broker.core.logout.sessions import NameID
from broker.core.logout.single_logout import LogoutPeer, LogoutRequest
from broker.use_cases.logout.sessions import Sessions
from tests.plugins.eid_house import DIRECT, log_in, switched
from tests.plugins.house import House, mark
from tests.plugins.leaving import PARTIAL, Leaver, rows, to

LEFT_ALONE: Final = {"BROKER_UPSTREAMS__WAYF__LOGOUT": "never"}
ALONE: Final = pytest.mark.parametrize("environment", [LEFT_ALONE])
STATUS: Final = "urn:oasis:names:tc:SAML:2.0:status:"
OTHER: Final = "Elektroniske ressourcer"


@pytest.fixture
def leaver(house: House) -> Leaver:
    """Give a person with a browser of their own."""
    return Leaver(house, house.person())


def sent(leaver: Leaver) -> tuple[str, str]:
    """Log in at two services, log out of one and everywhere; give the page and the address that asks the other."""
    first = leaver.log_in()
    leaver.log_in(service="e-resources")
    page = leaver.ask("my-loans", first)
    return page.request.path, str(leaver.press(page, "scope=all").location)


@ALONE
def test_one_that_was_never_reached_is_asked_again(leaver: Leaver) -> None:
    """A second press stops the browser on its way: the page then asks anew, and the logout comes to a good end."""
    page, lost = sent(leaver)
    waits = leaver.get(page + "/on?scope=all")
    assert mark(waits) == ("logout", "wait")
    asked = leaver.press(waits, "again=")
    assert to(asked) == "library/e-resources/slo"
    assert mark(leaver.get(leaver.answering(lost))) == ("error", "logout_refused")
    assert leaver.read(leaver.answer(asked)).status == "Success"


def goes_on(leaver: Leaver, page: str, asked: str) -> None:
    """Go on without an answer."""
    del asked
    leaver.press(leaver.get(page), "without=")


def fails(leaver: Leaver, page: str, asked: str) -> None:
    """Answer that it could not."""
    del page
    leaver.follow(leaver.get(leaver.answering(asked, (STATUS + "Responder",))))


def knows_nobody(leaver: Leaver, page: str, asked: str) -> None:
    """Answer that nobody of that name is logged in."""
    del page
    leaver.follow(leaver.get(leaver.answering(asked, (STATUS + "Requester", STATUS + "UnknownPrincipal"))))


@pytest.mark.profile(34)
@ALONE
@pytest.mark.parametrize(("ends", "state"), [(goes_on, "silent"), (fails, "failed"), (knows_nobody, "failed")])
def test_what_has_not_ended_is_told_by_the_next_logout_too(
    leaver: Leaver, ends: Callable[[Leaver, str, str], None], state: str
) -> None:
    """A service that may still be logged in is asked by a later one too, also where it says that it knows nobody."""
    page, asked = sent(leaver)
    ends(leaver, page, asked)
    told = leaver.get(page)
    assert (mark(told), rows(told)[OTHER]) == (("logout", "remains"), state)
    assert leaver.read(leaver.press(told, "back=")).status == PARTIAL
    assert rows(leaver.ask("my-loans", leaver.log_in()))[OTHER] == "open"


@ALONE
def test_a_word_given_again_ends_nothing_that_began_since(leaver: Leaver) -> None:
    """Back to the page that asked, after a new login: what is logged in now is known, and asked by the next logout."""
    leaver.log_in()
    page = leaver.ask("e-resources", leaver.log_in(service="e-resources"))
    word = page.request.path + "/on?scope=all"
    assert leaver.read(leaver.answer(leaver.follow(leaver.get(word)))).status == "Success"
    leaver.log_in()
    anew = leaver.log_in(service="e-resources")
    leaver.get(word)
    assert rows(leaver.ask("e-resources", anew))["Mine lån"] == "open"


@ALONE
@pytest.mark.parametrize(("service", "label"), [("gone", "gone"), ("e-resources", OTHER)])
def test_a_service_that_is_configured_no_more_is_told(leaver: Leaver, service: str, label: str) -> None:
    """Its session outlives its table in broker.toml, or its entityID: it cannot be asked, and the page says so."""
    house = leaver.house
    session = leaver.log_in()
    kept = Sessions(house.parts.store, house.parts.keys.index)
    now = house.clock.now()
    entity_id = house.site("my-loans").entity_id
    name_id = NameID(session.name_id, session.format, session.name_qualifier, session.sp_name_qualifier)
    (own,) = kept.named(entity_id, LogoutRequest(LogoutPeer("service", "my-loans"), "_q", name_id), now)
    kept.add(replace(own, id="0" * 64, service=service, entity_id="https://gone.example", index="_gone"), now)
    page = leaver.ask("my-loans", session)
    assert rows(page) == {label: "unreachable", "Universitetslogin (WAYF)": "kept"}
    assert leaver.read(leaver.press(page, "back=")).status == PARTIAL


@ALONE
def test_a_message_that_is_not_believed_is_no_login(leaver: Leaver) -> None:
    """Who is still logged in reads that, and not that a login has failed."""
    page = leaver.get(leaver.request("my-loans", leaver.log_in(), key=leaver.house.hub_key()))
    assert mark(page) == ("error", "logout_refused")
    assert page.status_code == 400
    assert "Log ud af hver tjeneste" in page.get_data(as_text=True)


@pytest.mark.profile(34)
def test_an_upstream_without_a_place_to_be_asked_at_is_told(house: House, tmp_path: Path) -> None:
    """The library would have it ended and nobody can: no Success, and the page says what stays open."""
    folder = shutil.copytree(house.setting.folder / "metadata", tmp_path / "metadata")
    written = (folder / "nemlogin.xml").read_text()
    (folder / "nemlogin.xml").write_text(re.sub(r"<[a-z0-9:]*SingleLogoutService[^>]*/>", "", written))
    nemlogin = switched(house, {**DIRECT, "BROKER_METADATA": f"{folder}"})
    person, page = log_in(nemlogin, "eva")
    leaver = Leaver(nemlogin, person)
    answered = leaver.ask("my-loans", leaver.landed(person.agree(page)))
    assert (mark(answered), list(rows(answered).values())) == (("logout", "remains"), ["unreachable"])
    assert leaver.read(leaver.press(answered, "back=")).status == PARTIAL


@pytest.mark.profile(34)
def test_an_upstream_that_named_nobody_is_told_too(leaver: Leaver) -> None:
    """Without a NameID of its own it cannot be told whom to end."""
    session, house = leaver.log_in(), leaver.house
    kept, now = Sessions(house.parts.store, house.parts.keys.index), house.clock.now()
    name_id = NameID(session.name_id, session.format, session.name_qualifier, session.sp_name_qualifier)
    request = LogoutRequest(LogoutPeer("service", "my-loans"), "_q", name_id)
    (own,) = kept.named(house.site("my-loans").entity_id, request, now)
    kept.add(replace(own, id="0" * 64, index="_nameless", at=now, upstream_name_id=None), now)
    assert rows(leaver.ask("my-loans", session)) == {"Universitetslogin (WAYF)": "unreachable"}


@pytest.mark.attack(29)
def test_a_name_goes_to_nobody_but_who_gave_it(house: House) -> None:
    """After the national eID's route is switched, whoever answers there now never gave this NameID and learns none."""
    nemlogin = switched(house)
    person, page = log_in(nemlogin, "eva")
    session = Leaver(nemlogin, person).landed(person.agree(page))
    leaver = Leaver(house, house.person())
    leaver.person.client._cookies = person.client._cookies
    assert list(rows(leaver.ask("my-loans", session)).values()) == ["unreachable"]
