"""Cookies: which count, and how they are set."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from werkzeug.wrappers import Response

from broker.adapters.web.pages.cookies import BrowserCookies
from broker.core.login.transaction import AuthnRequest, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.pins.known_browsers import BrowserToken

PSEUDONYMS = LookupHmacs("k1", b"k" * 32)
NAME, VALUE = "b-" + "0" * 16, "a" * 64
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
BEGUN = Transaction("t" * 32, "BCDFGHJK", NOW, NOW, AuthnRequest("_r", "my-loans", "", ""))


def brought(secure: bool, header: str) -> tuple[str, ...]:
    """Give the browsers that a Cookie header names."""
    with Flask(__name__).test_request_context(headers={"Cookie": header}):
        return BrowserCookies(PSEUDONYMS, secure).browsers()


PLANTED = {
    "without the prefix": f"{NAME}={VALUE}",
    "another prefix": f"__Secure-{NAME}={VALUE}",
    "short": f"__Host-{NAME}={VALUE[:-1]}",
    "long name": f"__Host-{NAME}0={VALUE}",
    "not hexadecimal": f"__Host-{NAME}={'g' * 64}",
}


@pytest.mark.attack(31)
@pytest.mark.parametrize("name", PLANTED)
def test_cookies_of_a_sibling_domain_are_ignored(name: str) -> None:
    """Over https only a cookie with the __Host- prefix is ours: no sibling domain and no http answer can set one."""
    assert brought(secure=True, header=PLANTED[name]) == ()
    assert len(brought(secure=True, header=f"__Host-{NAME}={VALUE}")) == 1


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


TOKEN = BrowserToken(f"k1.{'b' * 64}", "a" * 64)


def remember(token: BrowserToken = TOKEN, header: str = "") -> Response:
    """Return the response that sets a known-browser cookie, for a browser with this Cookie header."""
    with Flask(__name__).test_request_context(headers={"Cookie": header}):
        response = Response()
        BrowserCookies(PSEUDONYMS, secure=True).remember_browser(response, token)
    return response


def tokens(header: str) -> tuple[BrowserToken, ...]:
    """Give the tokens that a Cookie header names."""
    with Flask(__name__).test_request_context(headers={"Cookie": header}):
        return BrowserCookies(PSEUDONYMS, secure=True).find_known_browsers()


def cookie(response: Response) -> str:
    """Give the pair of the only cookie that is set."""
    [header] = response.headers.getlist("Set-Cookie")
    return header.partition(";")[0]


def test_a_token_comes_back_as_it_was_kept() -> None:
    """For 90 days, lax, out of reach of scripts, and with nothing of the person in it."""
    response = remember()
    assert tokens(cookie(response)) == (TOKEN,)
    [header] = response.headers.getlist("Set-Cookie")
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/", f"Max-Age={90 * 24 * 3600}"} <= set(header.split("; "))
    assert header.startswith("__Host-k-")


@pytest.mark.attack(31)
@pytest.mark.parametrize(
    "forge",
    [
        "k-{name}={value}",
        "__Host-k-{name}0={value}",
        "__Host-k-{name}={value}0",
        "__Host-k-{name}={secret}",
        "__Host-k-{name}={person}.",
        "__Host-k-{name}=.{secret}",
        "__Host-k-{name}={secret}.{person}",
    ],
)
def test_malformed_browser_tokens_are_ignored(forge: str) -> None:
    """Without the prefix, of another shape, or a part of one."""
    name, value = "0" * 16, f"{TOKEN.person_id}.{TOKEN.secret}"
    assert tokens(forge.format(name=name, value=value, secret=TOKEN.secret, person=TOKEN.person_id)) == ()
    assert tokens(f"__Host-k-{name}={value}") == (TOKEN,)


@pytest.mark.attack(31)
def test_cookies_of_a_sibling_domain_push_out_no_own_cookie() -> None:
    """However many cookies without the prefix it adds, the browser stays known to its people, and in its logins."""
    login = f"__Host-a-{'0' * 16}={VALUE}"
    for kind, own in (("k", cookie(remember())), ("a", login)):
        planted = "; ".join(f"{kind}-{number:016x}={VALUE}" for number in range(40))
        with Flask(__name__).test_request_context(headers={"Cookie": f"{own}; {planted}"}):
            cookies, response = BrowserCookies(PSEUDONYMS, secure=True), Response()
            cookies.remember_browser(response, TOKEN)
            cookies.set_login_cookie(response, BEGUN, VALUE)
        assert not [each for each in response.headers.getlist("Set-Cookie") if each.startswith(own.partition("=")[0])]


def test_only_a_few_tokens_stay() -> None:
    """The fifth drops the first; a flood costs little."""
    pairs = [f"__Host-k-{number:016x}={TOKEN.person_id}.{number:064x}" for number in range(4)]
    changed = remember(header="; ".join(pairs)).headers.getlist("Set-Cookie")
    assert [each.partition("=")[0] for each in changed][:1] == [pairs[0].partition("=")[0]]
    assert len(changed) == 2
    flood = "; ".join(f"__Host-k-{number:016x}={TOKEN.person_id}.{number:064x}" for number in range(40))
    assert len(tokens(flood)) == 4
