"""Attack: denial of service by clients that are not logged in, who fill the store, the audit log or the help codes.

A client without authentication leaves nothing that lasts.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.adapters.stores.sqlite import _WRITES_PER_SWEEP, SqliteStore
from broker.core.errors import TransactionGone
from broker.core.help_codes import ShownPage
from broker.core.ports import Key, StoredRecord
from broker.demo.library import services
from tests.plugins.deployment import Deployment, find_text, form, mark

# Class 31: forged addresses, cookies and proxy headers.
pytestmark = pytest.mark.attack(31)


def reference_on(page: object) -> str:
    """Return the error reference of a page."""
    return find_text(page, "//*[@class='reference']//strong/text()")  # type: ignore[arg-type]


def find_shown_page(deployment: Deployment, page: object) -> ShownPage:
    """Return what staff see when they look up the page's help code."""
    found = deployment.parts.staff_search.find(reference_on(page), "test")
    assert found is not None
    assert found.page is not None
    return found.page


def count_rows(deployment: Deployment) -> list[tuple[str, int]]:
    """Return the number of rows in each table of the store, expired ones included."""
    file = deployment.parts.config.store.url.removeprefix("sqlite:")
    with closing(sqlite3.connect(file)) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(name, store.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name in sorted(tables)]  # noqa: S608


def hash_store(deployment: Deployment) -> str:
    """Return a hash of the whole store."""
    file = deployment.parts.config.store.url.removeprefix("sqlite:")
    with closing(sqlite3.connect(file)) as store:
        return hashlib.sha256("\n".join(store.iterdump()).encode()).hexdigest()


def audit_log_size(deployment: Deployment) -> int:
    """Return the size of the audit log in bytes."""
    audit_log = deployment.parts.audit_log
    assert isinstance(audit_log, StoredAuditLog)
    return sum(file.stat().st_size for file in Path(audit_log.files.folder).iterdir())


def test_pages_for_unknown_logins_store_nothing(deployment: Deployment) -> None:
    """Pages for unknown logins store nothing.

    At 659 bytes each, two requests a second would fill a store in nine days.
    """
    person = deployment.person()
    person.get(f"{person.base}/login/{'0' * 32}")
    before = count_rows(deployment), audit_log_size(deployment)
    pages = [person.get(f"{person.base}/login/{number:032x}") for number in range(1500)]
    assert {page.status_code for page in pages} == {410}
    assert (count_rows(deployment), audit_log_size(deployment)) == before


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that records the store's reads, in order."""
    asked: list[str] = []
    get_many, count = SqliteStore.get_many, SqliteStore.count

    def record_get_many(store: SqliteStore, keys: Sequence[Key], now: datetime) -> list[StoredRecord | None]:
        asked.append(" ".join(["get", *(key.kind for key in keys)]))
        return get_many(store, keys, now)

    def record_count(store: SqliteStore, key: Key, *values: Any) -> int:
        asked.append(f"count {key.kind}")
        return count(store, key, *values)

    monkeypatch.setattr(SqliteStore, "get_many", record_get_many)
    monkeypatch.setattr(SqliteStore, "count", record_count)
    return asked


def test_a_refused_stranger_causes_one_store_read(reads: list[str], deployment: Deployment) -> None:
    """For an unknown login, or one of another browser, the store is read once."""
    owner, stranger = deployment.person(), deployment.person()
    chooser = owner.ask()
    path = f"/login/{chooser.request.path.split('/')[2]}"
    stranger.client.set_cookie("b-" + "0" * 16, "0" * 64, domain="broker.localhost")
    expected = {f"/login/{'0' * 32}": 410, path: 403, f"{path}/upstream": 403}
    for address, status in expected.items():
        reads.clear()
        page = stranger.get(f"{stranger.base}{address}")
        assert (page.status_code, reads) == (status, ["get transaction"])
    assert stranger.post(f"/login/{'0' * 32}/upstream", {"token": "x"}).status_code == 410


def test_an_error_in_an_unclaimed_login_is_answered_to_its_service(deployment: Deployment) -> None:
    """An error in a login that no browser has claimed yet is sent to the service as a status, and shows no page."""
    person = deployment.person()
    asked = services.request_url(deployment.site("my-loans"), "my-loans", deployment.peer, force=False, passive=True)
    begun = person.client.get(person.path(asked), base_url=person.base)
    name = urlsplit(begun.headers["Location"]).path.split("/")[2]
    page = person.post(f"/login/{name}/upstream", {"token": "x"})
    assert "SAMLResponse" in page.text


def test_a_strangers_page_carries_a_reference_that_decodes_itself(deployment: Deployment) -> None:
    """The error reference of a stranger contains minute, step and reason, so that nothing is stored."""
    person = deployment.person()
    page = person.get(f"{person.base}/login/{'0' * 32}")
    shown = find_shown_page(deployment, page)
    assert (shown.step, shown.reason) == ("/login/<name>", "transaction_gone")


def test_posts_with_an_invented_cookie_use_up_no_references(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Posts with an invented cookie use up no error references: 3,700 of them once did, and later callers had none."""
    monkeypatch.setattr("broker.use_cases.login.support_traces._MOST_AN_HOUR", 30)
    stranger = deployment.person()
    stranger.client.set_cookie("b-" + "0" * 16, "0" * 64, domain="broker.localhost")
    # A login with the invented cookie can be refused as often as the attacker likes.
    chooser = stranger.ask()
    for _ in range(40):
        assert stranger.post(form(chooser)[0], {"token": "x"}).status_code == 403
        assert stranger.post(f"{chooser.request.path}/x", {}).status_code == 404
    caller = deployment.person().log_in("mia")
    assert mark(caller)[0] == "refuse"
    assert find_shown_page(deployment, caller).step == "refuse"


def test_refusals_of_strangers_are_not_in_the_audit_log(deployment: Deployment) -> None:
    """Refusals of clients without login are not in the audit log: at full speed they would write 17 GB a day."""
    person = deployment.person()
    chooser = person.ask()
    before = count_rows(deployment), audit_log_size(deployment)
    for _ in range(3):
        person.deliver("/saml/sp/wayf/acs", {"SAMLResponse": "AAAA"})
        person.post(form(chooser)[0], {"token": "x"})
        person.get(f"{person.base}/error?code=OTHER_ERROR")
        person.get(f"{person.base}/no/such/page")
    assert (count_rows(deployment), audit_log_size(deployment)) == before


def test_a_refused_person_is_in_the_audit_log(deployment: Deployment) -> None:
    """Control: the refusal of a person who is logged in is in the audit log and found by its error reference."""
    before = audit_log_size(deployment)
    page = deployment.person().log_in("mia")
    assert len(reference_on(page)) == 8
    assert find_shown_page(deployment, page).step == "refuse"
    assert audit_log_size(deployment) > before


FEW = pytest.mark.parametrize("environment", [{"BROKER_LIMITS__BEGINNINGS": "10"}])
BEGINNINGS = ("/sign-up/begin?affiliation=student", "/pin", "/my-choices?with=wayf", "/pin?change=wayf")


@FEW
@pytest.mark.parametrize("address", ["sso", *BEGINNINGS])
def test_the_logins_of_a_network_are_limited(
    deployment: Deployment, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network may start a limited number of logins a minute, because each one is stored.

    Other networks are not affected.
    """
    person = deployment.person().use_address("198.51.100.7")
    path = person.sso_path() if address == "sso" else address
    # The minute must not change during the test.
    deployment.clock.ahead += timedelta(seconds=60 - deployment.clock.now().second)
    statuses = [person.client.get(path, base_url=person.base).status_code for _ in range(10)]
    assert set(statuses) <= {200, 302, 303}
    before = count_rows(deployment), audit_log_size(deployment)
    for _ in range(5):
        page = person.client.get(path, base_url=person.base)
        assert (page.status_code, mark(page)) == (429, ("error", "network_busy"))
        assert 1 <= int(page.headers["Retry-After"]) <= 60
    assert (count_rows(deployment), audit_log_size(deployment)) == before
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "network_refused" in each]
    assert '"network": "198.51.100.0/24"' in line
    assert '"setting": "limits.campuses"' in line
    assert deployment.person().use_address("203.0.113.7").client.get(path, base_url=person.base).status_code < 400
    deployment.clock.ahead += timedelta(minutes=1)
    assert person.client.get(path, base_url=person.base).status_code < 400


@FEW
def test_each_redirect_to_an_upstream_is_counted(deployment: Deployment) -> None:
    """Each redirect to an upstream counts as a start, because sent messages are stored for half a year."""
    deployment.clock.ahead += timedelta(seconds=60 - deployment.clock.now().second)
    stranger = deployment.person().use_address("198.51.100.7")
    onward = stranger.post(form(chooser := stranger.ask())[0], {**form(chooser)[1], "upstream": "wayf"})
    away = find_text(onward, "//main//a/@href")
    statuses = [stranger.get(away).status_code for _ in range(12)]
    assert statuses == [302] * 10 + [429] * 2
    person = deployment.person().use_address("198.51.101.7")
    path = person.log_in("asta").request.path.removesuffix("/consent")
    for number in range(12):
        deployment.person().use_address(f"198.51.101.{number}").client.get("/pin", base_url=person.base)
    assert person.choose(person.get(f"{path}/upstream"))


@FEW
def test_a_known_browser_passes_during_a_flood(deployment: Deployment) -> None:
    """A browser that has logged in before has a cookie that lets it pass while its network is blocked."""
    person = deployment.person().use_address("198.51.100.7")
    person.log_in("asta")
    (cookie,) = person.cookies("mark")
    assert len(cookie.value) < 60
    stranger = deployment.person().use_address("198.51.100.8")
    for _ in range(40):
        stranger.client.get("/pin", base_url=person.base)
    assert stranger.client.get("/pin", base_url=person.base).status_code == 429
    assert mark(person.log_in("asta"))[0] == "ask"


@FEW
def test_a_posted_request_of_a_known_browser_passes_during_a_flood(deployment: Deployment) -> None:
    """A cross-site POST has no cookies, so the broker's page posts it again, and a browser with the cookie passes."""
    person = deployment.person().use_address("198.51.100.7")
    person.log_in("asta")
    url = services.request_url(deployment.site("my-loans"), "my-loans", deployment.peer, force=False, passive=False)
    [deflated] = parse_qs(urlsplit(url).query)["SAMLRequest"]
    fields = {"SAMLRequest": deflated, "RelayState": "<&>"}
    stranger = deployment.person().use_address("198.51.100.8")
    for _ in range(40):
        stranger.client.get("/pin", base_url=person.base)
    before = hash_store(deployment)
    for caller, status in ((stranger, 429), (person, 303)):
        bare = deployment.person().use_address("198.51.100.7")
        page = bare.post("/saml/idp/sso", fields, **{"Sec-Fetch-Site": "cross-site", "Origin": "https://s.example"})
        assert (form(page), hash_store(deployment)) == ((f"{person.base}/saml/idp/sso", fields), before)
        assert caller.post(*form(page)).status_code == status
    large = {**fields, "RelayState": "x" * 33_000}
    assert stranger.post("/saml/idp/sso", large, **{"Sec-Fetch-Site": "cross-site"}).status_code == 429


def test_an_unconfigured_proxy_is_logged_once(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """X-Forwarded-For without configured proxies makes all clients one network.

    The log says so once, and readyz as well.
    """
    client = deployment.app.test_client()
    for _ in range(3):
        client.get("/healthz", headers={"X-Forwarded-For": "203.0.113.9"})
    assert capsys.readouterr().out.count('"event": "proxy_uncounted"') == 1
    assert "serve.proxies is 0" in client.get("/readyz").get_json()["proxies"]
    deployment.clock.ahead += timedelta(hours=2)
    assert "proxies" not in client.get("/readyz").get_json()


@pytest.mark.parametrize("environment", [{"BROKER_SERVE__PROXIES": "1"}])
def test_a_configured_proxy_is_not_logged(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Control: with a configured proxy there is no warning."""
    client = deployment.app.test_client()
    client.get("/healthz", headers={"X-Forwarded-For": "203.0.113.9"})
    assert "proxy_uncounted" not in capsys.readouterr().out
    assert "proxies" not in client.get("/readyz").get_json()


@pytest.mark.parametrize("bound", [False, True])
def test_abandoned_logins_are_deleted(deployment: Deployment, bound: bool) -> None:
    """Unclaimed logins are deleted after two minutes, those with a browser after thirty."""
    stranger = deployment.person().use_address("198.51.100.7")
    lasts = timedelta(minutes=30 if bound else 2)
    begun = []
    for _ in range(20):
        answer = stranger.client.get(stranger.sso_path(), base_url=stranger.base)
        begun.append(answer.location.rpartition("/")[2])
        if bound:
            stranger.get(answer.location)
    deployment.clock.ahead += lasts - timedelta(seconds=20)
    assert all(deployment.broker.read(name, deployment.clock.now()) for name in begun)
    deployment.clock.ahead += timedelta(seconds=21)
    for name in begun:
        with pytest.raises(TransactionGone):
            deployment.broker.read(name, deployment.clock.now())
    # Reads skip expired rows. A later write deletes them.
    for _ in range(3):
        deployment.parts.store.count(
            Key("counter", "sweep"), 1, deployment.clock.now() + timedelta(hours=1), deployment.clock.now()
        )
    assert not list(deployment.parts.store.list("transaction", None, deployment.clock.now()))


@pytest.mark.parametrize(("bound", "lives"), [(False, 2), (True, 30)])
def test_a_long_flood_does_not_grow_the_store(deployment: Deployment, bound: bool, lives: int) -> None:
    """A flood that lasts longer than a login does not let the store grow further, counted in rows on disk."""
    before, audit_log, sizes = sum(count for _, count in count_rows(deployment)), audit_log_size(deployment), []
    for minute in range(lives + 12):
        deployment.clock.ahead += timedelta(minutes=1)
        for number in range(10):
            stranger = deployment.person().use_address(f"198.51.{minute}.{number}")
            answer = stranger.client.get("/pin", base_url=stranger.base)
            if bound:
                stranger.get(answer.location)
            stranger.client.get(f"/login/{number:032x}", base_url=stranger.base)
        sizes.append(sum(count for _, count in count_rows(deployment)) - before)
    assert sizes[: lives + 1] == [10 * (minute + 1) for minute in range(lives + 1)]
    # Expired rows are deleted after a certain number of writes.
    assert max(sizes) <= 10 * (lives + 1) + _WRITES_PER_SWEEP
    assert audit_log_size(deployment) == audit_log
