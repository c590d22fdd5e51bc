"""Waits until a broker that a test started is ready, and logs a student of the demo in at it."""

from contextlib import closing
from http.client import HTTPConnection, HTTPException

from broker.demo.check.http_browser import Browser
from broker.demo.check.persona_walk import texts, walk
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import Ports


def is_ready(port: int) -> bool:
    """Return whether the broker at this port takes logins."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False


def log_in(ports: Ports) -> str:
    """Log a student in at the library's service; return the status that the service received."""
    browser = Browser()
    with browser.session:
        walk(browser, ports.origin("library"), persona("asta"))
    return "".join(texts(browser, "//strong[@id='status']/text()"))
