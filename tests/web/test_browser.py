"""Cookies: which count, and how they are set."""

import pytest
from flask import Flask, Request
from werkzeug.wrappers import Response

from broker.core.pseudonyms import Pseudonyms
from broker.web.browser import Cookies

PSEUDONYMS = Pseudonyms("k1", b"k" * 32)
NAME, VALUE = "b-" + "0" * 16, "a" * 64


def brought(secure: bool, header: str) -> tuple[str, ...]:
    """Give the browsers that a Cookie header names."""
    with Flask(__name__).test_request_context(headers={"Cookie": header}) as made:
        request: Request = made.request
        return Cookies(PSEUDONYMS, secure).browsers(request)


PLANTED = {
    "without the prefix": f"{NAME}={VALUE}",
    "another prefix": f"__Secure-{NAME}={VALUE}",
    "short": f"__Host-{NAME}={VALUE[:-1]}",
    "long name": f"__Host-{NAME}0={VALUE}",
    "not hexadecimal": f"__Host-{NAME}={'g' * 64}",
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_a_sibling_domain_can_plant_does_not_count(name: str) -> None:
    """Over https only a cookie with the __Host- prefix is ours: no sibling domain and no http answer can set one."""
    assert brought(secure=True, header=PLANTED[name]) == ()
    assert len(brought(secure=True, header=f"__Host-{NAME}={VALUE}")) == 1


def test_a_flood_of_cookies_costs_little() -> None:
    """At most eight cookies b are looked at."""
    flood = "; ".join(f"b-{number:016x}={VALUE}" for number in range(40))
    assert len(brought(secure=False, header=flood)) == 8


@pytest.mark.parametrize(("secure", "prefix"), [(True, "__Host-b-"), (False, "b-")])
def test_cookie_b_is_lax_http_only_and_for_the_session(secure: bool, prefix: str) -> None:
    """The cookie carries every attribute that keeps it where it belongs."""
    response = Response()
    Cookies(PSEUDONYMS, secure).new_browser(response)
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith(prefix)
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert ("Secure" in cookie.split("; ")) is secure
    assert "Max-Age" not in cookie
    assert "Domain" not in cookie
