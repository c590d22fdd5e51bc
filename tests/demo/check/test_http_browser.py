"""The demo's browser without a screen: whose cookies go where."""

import pytest
from flask import Flask, Response, redirect, request

from broker.demo.check.http_browser import Browser
from broker.demo.run.loopback_server import serve_on_loopback

pytestmark = pytest.mark.server


def test_a_redirect_carries_no_cookie_to_another_host() -> None:
    """Each host gets its own cookies only, also where one sends the browser on to the other."""
    there, here = Flask("there"), Flask("here")
    there.add_url_rule("/", view_func=lambda: dict(request.cookies))
    with serve_on_loopback(there) as target:
        onward = redirect(target.replace("127.0.0.1", "there.localhost"))

        @here.get("/")
        def send() -> Response:
            answer = Response(onward.get_data(), 302, {"Location": onward.location})
            answer.set_cookie("own", "1")
            return answer

        with serve_on_loopback(here) as origin:
            browser = Browser()
            for _ in range(2):
                assert browser.get(origin.replace("127.0.0.1", "here.localhost")).json() == {}
    assert [(each.name, each.domain) for each in browser.session.cookies] == [("own", "here.localhost")]
