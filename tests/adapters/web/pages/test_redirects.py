"""A redirect sends the browser where werkzeug's own would, and says nothing besides."""

import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.utils import redirect as of_werkzeug

from broker.adapters.web.pages.redirects import redirect

_HOSTS = st.sampled_from(["login.library.example", "127.0.0.1:8080", "hub"])
_LETTERS = "abzABZ019-._~:/@!$&'()*+,;=%"
_PATHS = st.text(_LETTERS, max_size=30).map("/".__add__)
_QUERIES = st.just("") | st.text(f"{_LETTERS}?", min_size=1, max_size=30).map("?".__add__)
_APP = Flask("redirects")


def sent(location: str, code: int = 303) -> tuple[str, str, bytes]:
    """Return status, Location and body of a redirect as they leave."""
    with _APP.test_request_context():
        response = redirect(location, code)
        parts, status, headers = response.get_wsgi_response({"REQUEST_METHOD": "GET"})
    return status, dict(headers)["Location"], b"".join(parts)


@example("hub", "/sso", "?SAMLRequest=fZ%2Bx&SigAlg=http%3A%2F%2Fwww")
@given(_HOSTS, _PATHS, _QUERIES)
def test_the_browser_is_sent_where_werkzeug_would_send_it(host: str, path: str, query: str) -> None:
    """Whatever address a request builds: nothing in it is written otherwise, and no note comes with it."""
    location = f"https://{host}{path}{query}"
    own = of_werkzeug(location, 303).get_wsgi_headers({"REQUEST_METHOD": "GET"})["Location"]
    assert sent(location) == ("303 SEE OTHER", own, b"")


@pytest.mark.parametrize("location", [
    "https://hub.example/sø?q=ø", "https://hub.example/a b", "https://[2001:db8::1]/sso", "https://hub.example/#part",
    "https://bibliotek-ø.example/", "/relative",
])  # fmt: skip
def test_what_is_no_plain_uri_is_written_as_one(location: str) -> None:
    """The address of a peer's metadata may hold anything: werkzeug writes it as it does elsewhere."""
    own = of_werkzeug(location, 302).get_wsgi_headers({"REQUEST_METHOD": "GET"})["Location"]
    assert sent(location, 302)[:2] == ("302 FOUND", own)
    assert own.isascii()


@pytest.mark.parametrize("ending", ["\n", "\r\nSet-Cookie: a=b", "\r"])
def test_no_address_adds_a_header(ending: str) -> None:
    """A line feed ends a header (CWE-113), at the end of an address too."""
    with pytest.raises(ValueError, match="newline"):
        sent(f"https://hub.example/{ending}")


def test_it_says_its_length() -> None:
    """Else the connection would have to close, or count chunks of nothing."""
    with _APP.test_request_context():
        assert redirect("https://hub.example/", 303).headers["Content-Length"] == "0"
