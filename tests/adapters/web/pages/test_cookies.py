"""Cookies: which count, and how they are set."""

from datetime import UTC, datetime

import pytest
from flask import Flask, Request
from werkzeug.wrappers import Response

from broker.adapters.web.pages.cookies import BrowserCookies
from broker.core.login.transaction import AuthnRequest, Transaction
from broker.core.lookup_hmacs import LookupHmacs

PSEUDONYMS = LookupHmacs("k1", b"k" * 32)
NAME, VALUE = "b-" + "0" * 16, "a" * 64
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
BEGUN = Transaction("t" * 32, "BCDFGHJK", NOW, NOW, AuthnRequest("_r", "my-loans", "", ""))


def brought(secure: bool, header: str) -> tuple[str, ...]:
    """Give the browsers that a Cookie header names."""
    with Flask(__name__).test_request_context(headers={"Cookie": header}) as made:
        request: Request = made.request
        return BrowserCookies(PSEUDONYMS, secure).browsers(request)


PLANTED = {
    "without the prefix": f"{NAME}={VALUE}",
    "another prefix": f"__Secure-{NAME}={VALUE}",
    "short": f"__Host-{NAME}={VALUE[:-1]}",
    "long name": f"__Host-{NAME}0={VALUE}",
    "not hexadecimal": f"__Host-{NAME}={'g' * 64}",
}


@pytest.mark.attack(31)
@pytest.mark.parametrize("name", PLANTED)
def test_what_a_sibling_domain_can_plant_does_not_count(name: str) -> None:
    """Over https only a cookie with the __Host- prefix is ours: no sibling domain and no http answer can set one."""
    assert brought(secure=True, header=PLANTED[name]) == ()
    assert len(brought(secure=True, header=f"__Host-{NAME}={VALUE}")) == 1


@pytest.mark.attack(31)
def test_a_flood_of_cookies_costs_little() -> None:
    """At most eight browser cookies are looked at."""
    flood = "; ".join(f"b-{number:016x}={VALUE}" for number in range(40))
    assert len(brought(secure=False, header=flood)) == 8


@pytest.mark.attack(31)
@pytest.mark.parametrize(("secure", "prefix"), [(True, "__Host-b-"), (False, "b-")])
def test_the_browser_cookie_is_lax_http_only_and_for_the_session(secure: bool, prefix: str) -> None:
    """The cookie carries every attribute that keeps it where it belongs."""
    response = Response()
    BrowserCookies(PSEUDONYMS, secure).set_browser_cookie(response)
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith(prefix)
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert ("Secure" in cookie.split("; ")) is secure
    assert "Max-Age" not in cookie
    assert "Domain" not in cookie


def remembered(number: str = "4") -> str:
    """Give the Cookie header of a browser that has logged in with the PIN of borrower ``number``."""
    with Flask(__name__).test_request_context() as made:
        response = Response()
        BrowserCookies(PSEUDONYMS, secure=True).remember_borrower(made.request, response, number)
    return response.headers["Set-Cookie"].partition(";")[0]


def who(header: str, number: str = "4") -> tuple[bool, str | None]:
    """Say whether a browser with this Cookie header has a mark, and as whom borrower ``number`` knows it."""
    with Flask(__name__).test_request_context(headers={"Cookie": header}) as made:
        cookies = BrowserCookies(PSEUDONYMS, secure=True)
        return bool(cookies.known_borrowers(made.request)), cookies.known_browser(made.request, number)


@pytest.mark.attack(31)
def test_what_a_sibling_domain_plants_takes_nothing_away() -> None:
    """However many cookies without the prefix it adds, the browser stays known to its people, and in its logins."""
    login = f"__Host-a-{'0' * 16}={VALUE}"
    for kind, own in (("k", remembered("5")), ("a", login)):
        planted = "; ".join(f"{kind}-{number:016x}={VALUE}" for number in range(40))
        with Flask(__name__).test_request_context(headers={"Cookie": f"{own}; {planted}"}) as made:
            cookies, response = BrowserCookies(PSEUDONYMS, secure=True), Response()
            cookies.remember_borrower(made.request, response, "4")
            cookies.set_login_cookie(made.request, response, BEGUN, VALUE)
        assert not [each for each in response.headers.getlist("Set-Cookie") if each.startswith(own.partition("=")[0])]


def test_a_borrower_knows_its_browsers_and_no_others() -> None:
    """A browser is known to the borrower it has logged in to; each browser under a name of its own."""
    one, two = remembered(), remembered()
    assert one.startswith("__Host-k-")
    assert who(one)[0]
    assert who(one)[1] not in {None, who(two)[1]}
    assert who(one, "5") == (True, None)
    assert who("") == (False, None)


@pytest.mark.attack(31)
@pytest.mark.parametrize("forge", ["made up", "another's", "renamed", "cut"])
def test_a_forged_mark_is_no_mark(forge: str) -> None:
    """Whoever writes the cookie themselves, or moves it to another borrower's name, stays a stranger."""
    name, _, value = remembered().partition("=")
    other = remembered("5")
    forged = {
        "made up": f"{name}={'a' * 64}.{'b' * 64}",
        "another's": f"{name}={other.partition('=')[2]}",
        "renamed": f"{name.removeprefix('__Host-')}={value}",
        "cut": f"{name}={value[:-1]}",
    }
    assert who(forged[forge]) == (False, None)
