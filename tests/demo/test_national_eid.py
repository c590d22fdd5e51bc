"""The demo with the national eID direct: the same people, over real HTTP, through a simulated NemLog-in."""

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote, urlencode, urlsplit

import pytest
import requests

from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import Ports, write
from broker.demo.run.running_demo import Running, running
from tests.plugins.demo import free_base

pytestmark = pytest.mark.server

WALKED = ("bo", "bo-nemid", "eva", "finn", "olga", "dorte")


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a demo whose national eID goes to NemLog-in itself."""
    folder = tmp_path_factory.mktemp("direct") / "demo"
    with running(write(folder, Ports(free_base()), datetime.now(UTC), national_eid="direct")) as found:
        yield found


def at_nemlogin(direct: Running) -> tuple[Browser, str]:
    """Come to NemLog-in's page from My loans; give the query of the AuthnRequest too."""
    browser = Browser()
    browser.get(f"{direct.setting.ports.origin('library')}/my-loans")
    choosing = next(each for each in browser.forms() if "upstream" in {name for name, _ in each.buttons})
    browser.submit(choosing, upstream="nemid")
    page = browser.open(persona_check.texts(browser, "//main//a/@href")[0])
    return browser, urlsplit(page.url).query


def test_people_end_as_they_do_by_wayf(direct: Running) -> None:
    """Borrowers, refusals and proofs come out the same, and one person has one borrower by both ways."""
    reports = persona_check.check(direct, [persona(each) for each in WALKED])
    assert [each.persona for each in reports if not each.ok] == []
    bo = [each.account for each in reports if each.persona.startswith("bo")]
    assert bo[0] == bo[1]


def test_nemlogin_offers_level_and_role(direct: Running) -> None:
    """A developer can be anybody, as surely and in whatever role they like, and see what the broker makes of it."""
    browser, _ = at_nemlogin(direct)
    offered = persona_check.texts(browser, "//option[not(@value)]/text()")
    assert offered == ("Low", "Substantial", "High", "person", "professional")
    assert "Asked for: Substantial, Person." in "".join(persona_check.texts(browser, "//main/p[1]/text()"))
    browser.submit(browser.forms()[0], persona="eva", level="Low", role="")
    browser.submit(browser.forms()[0])
    assert browser.mark() == ("refuse", "level_too_low")


def test_nemlogin_reads_signed_requests_only(direct: Running) -> None:
    """As the real one does, whose metadata asks for signed requests: a stripped or changed signature is refused."""
    _, query = at_nemlogin(direct)
    address = f"http://127.0.0.1:{direct.setting.ports.number('nemlogin')}/sso?"
    fields = dict(each.split("=", 1) for each in query.split("&"))
    stripped = urlencode({"SAMLRequest": unquote(fields["SAMLRequest"])})
    changed = query.replace("&Signature=", "&Signature=AAAA")
    answers = [requests.get(address + each, timeout=60).status_code for each in (query, stripped, changed)]
    assert answers == [200, 400, 400]


def log_in(direct: Running) -> Browser:
    """Log Eva in at My loans."""
    browser, _ = at_nemlogin(direct)
    browser.submit(browser.forms()[0], persona="eva", level="", role="")
    browser.submit(browser.forms()[0])
    assert browser.mark()[0] == "ask"
    browser.submit(
        next(each for each in browser.forms() if "answer" in {name for name, _ in each.buttons}), answer="yes"
    )
    browser.submit(browser.forms()[0])
    return browser


@pytest.mark.parametrize("begun", ["library/my-loans", "nemlogin"])
def test_a_logout_ends_both_sides(direct: Running, begun: str) -> None:
    """Begun at the service or at NemLog-in, each signed message is taken, and nobody is logged in afterwards."""
    browser, origin = log_in(direct), direct.setting.ports.origin
    party, _, path = begun.partition("/")
    browser.get(f"{origin(party)}/{path}/log-out".replace("//log-out", "/log-out"))
    assert browser.mark() == ("logout", "ask")
    browser.open(persona_check.texts(browser, "//main//a[contains(@href, 'scope=all')]/@href")[0])
    assert persona_check.texts(browser, "//strong[@id='status']/text()") == ("Success",)
    browser.get(f"{origin('nemlogin')}/log-out")
    assert persona_check.texts(browser, "//h1/text()") == ("Nobody is logged in",)


def test_nemlogin_reads_signed_logouts_only(direct: Running) -> None:
    """As the real one does: an unsigned message is refused."""
    address = f"http://127.0.0.1:{direct.setting.ports.number('nemlogin')}/slo?"
    for kind in ("SAMLRequest", "SAMLResponse"):
        assert requests.get(address + urlencode({kind: "PHg+"}), timeout=60).status_code == 400
