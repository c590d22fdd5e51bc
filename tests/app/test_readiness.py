"""Readiness, notes, gauges, findings of ``broker check`` and ``broker healthcheck``."""

import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from werkzeug.serving import make_server

from broker.adapters.saml.keys import key_ring
from broker.app import readiness
from broker.app.assembly import Parts, assemble, now
from broker.app.readiness import list_gauges
from broker.cli.check import checks
from broker.cli.check.checks import find_all
from broker.cli.health_check import ask_health
from broker.configuration.settings.config import load
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.errors import ConfigurationFaults
from broker.core.person_record import PersonRecord
from broker.demo.run.demo_folder import Setting
from tests.plugins.ports import free_port


@pytest.fixture
def parts(setting: Setting, tmp_path: Path) -> Parts:
    """Give a broker's parts over an empty store; nobody listens at its library system."""
    return assemble(load(setting.config, {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}))


def test_a_sound_broker_is_ready(parts: Parts) -> None:
    """Readiness lists no fault."""
    assert readiness.readiness(parts) == {
        "store": (),
        "metadata": [],
        "policies": [],
        "library": [],
        "audit": [],
        "keys": [],
    }


def test_a_store_that_cannot_be_written_is_not_ready(parts: Parts, tmp_path: Path) -> None:
    """It can still be read, but every login writes: a full disk, a replica, a file that lost its mode."""
    connection = sqlite3.connect(tmp_path / "broker.db")
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON counter BEGIN SELECT RAISE(ABORT, 'full'); END")
    connection.commit()
    connection.close()
    (said,) = readiness.readiness(parts)["store"]
    assert said.startswith("cannot be used: sqlite: SQLITE_CONSTRAINT")


def test_the_last_proof_of_the_library_system_is_a_note_and_a_gauge(parts: Parts) -> None:
    """A faulty set-up is named and does not make the broker unready."""
    assert "library" not in readiness.notes(parts)
    parts.setup_checker.step()
    assert readiness.notes(parts)["library"] == "Koha: no answer: ConnectionError"
    found = [gauge for gauge in list_gauges(parts) if gauge.name == "broker_library_fault"]
    assert [(gauge.labels, gauge.value) for gauge in found] == [(("unavailable",), 1)]
    page = parts.metrics.page(found).decode()
    assert 'broker_library_calls_total{call="find",outcome="unavailable"} 1.0' in page
    assert 'broker_library_call_seconds_count{call="find"} 1.0' in page


def test_enrolments_that_wait_are_a_note_and_gauges(parts: Parts) -> None:
    """Open cases and failing enrolments are counted by reason."""
    assert "enrolments" not in readiness.notes(parts)
    began = now() - timedelta(hours=1)
    case = Enrolment("e1", EnrolmentState.CASE, began, reason="several_borrowers")
    failing = Enrolment("e2", EnrolmentState.PENDING, began, reason="library_setup", failing_since=began)
    failing = replace(failing, setting="category_id STUD")
    for enrolment in (case, failing):
        parts.enrolment_ports.persons.change(enrolment.id, partial(store_record, enrolment), now())
    assert readiness.notes(parts)["enrolments"] == (
        "1 cases wait for staff; 1 enrolments have failed for 15 minutes: broker enrolments list; "
        "enrolments wait for a correction in the library system: category_id STUD"
    )
    page = parts.metrics.page(list(list_gauges(parts))).decode()
    assert 'broker_enrolments{reason="several_borrowers",state="case"} 1.0' in page
    assert 'broker_enrolments{reason="library_setup",state="pending"} 1.0' in page


def store_record(enrolment: Enrolment, person: PersonRecord) -> PersonRecord:
    """Return the record with the enrolment."""
    return person.set_enrolment(enrolment)


def test_an_unknown_borrower_field_in_a_policy_prevents_the_start(setting: Setting, tmp_path: Path) -> None:
    """The fault has the line of the policy file and the probable name."""
    folder = shutil.copytree(setting.folder, tmp_path / "misspelt", ignore=shutil.ignore_patterns("last-good"))
    file = folder / "policies" / "private.yaml"
    file.write_text(file.read_text().replace("{surname:", "{surnam:"))
    with pytest.raises(ConfigurationFaults) as found:
        assemble(load(folder / setting.config.name, {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}))
    told = "policies/private.yaml:23: unknown field 'surnam' (did you mean 'surname'?)"
    assert [str(fault) for fault in found.value.faults] == [told]


def test_our_own_certificate_is_named_before_and_after_its_end(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """``/readyz`` and ``broker check`` name the key and the command that helps; services may refuse such a key."""
    assert "keys" not in readiness.notes(parts)
    ends = next(key.until for key in key_ring.list_keys(parts.config.keys) if key.until)
    for before, word in ((timedelta(days=1), "expires soon"), (timedelta(), "has expired")):
        for module in (readiness, checks):
            monkeypatch.setattr(module, "now", lambda moment=ends - before: moment)
        sentence = f"the certificate idp-signing (current) {word}: {ends:%Y-%m-%d}: broker keys rotate"
        assert sentence in readiness.notes(parts)["keys"]
        assert [each for each in find_all(parts) if each.startswith(f"keys: {sentence}")]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, (True, True)),
        ({"BROKER_SERVE__PROXIES": "1"}, (False, True)),
        ({"BROKER_ACCESSIBILITY_STATEMENT": "https://library.example/was"}, (True, False)),
        ({"BROKER_BASE_URL": "http://localhost"}, (False, False)),
    ],
)
def test_a_broker_in_service_is_behind_a_proxy_and_has_a_statement(
    setting: Setting, tmp_path: Path, more: dict[str, str], found: tuple[bool, bool]
) -> None:
    """Over https the proxies are counted and every page links to the statement; over http neither is needed."""
    environ = {
        "BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}",
        "BROKER_BASE_URL": "https://login.library.example",
        "BROKER_SERVE__PROXIES": "0",
        **more,
    }
    folder = shutil.copytree(setting.folder, tmp_path / "service")
    lines = setting.config.read_text().splitlines(keepends=True)
    file = folder / setting.config.name
    file.write_text("".join(line for line in lines if not line.startswith("accessibility_statement")))
    findings = find_all(assemble(load(file, environ)))
    begin = ("serve.proxies is 0", "accessibility_statement is not set")
    assert tuple(any(each.startswith(one) for each in findings) for one in begin) == found


def test_a_store_that_may_lose_enrolments_is_not_served(parts: Parts, tmp_path: Path) -> None:
    """A store must not lose what it acknowledged, unless the administrator accepts that.

    Source: docs/reference/design.md#4b.
    """
    readiness.fit_to_serve(parts)
    (tmp_path / "broker.db").chmod(0o644)
    with pytest.raises(ConfigurationFaults, match=r"mode 0600\. \(or set store\.accept_loss = true\)"):
        readiness.fit_to_serve(parts)


@contextmanager
def _serving(host: str, port: int, status: int, body: bytes) -> Iterator[list[str]]:
    asked: list[str] = []

    def answer(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        asked.append(environ["PATH_INFO"])
        start(f"{status} x", [("Content-Type", "application/json")])
        return [body]

    server = make_server(host, port, answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.server
@pytest.mark.parametrize("written", ["127.0.0.1:{port}", "localhost:{port}", ":{port}", "unix:{file}"])
def test_health_is_asked_where_gunicorn_binds(
    setting: Setting, tmp_path: Path, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every way to write an address, below the path of base_url, and past a proxy that the environment names."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    port = free_port()
    file = tmp_path / "broker.sock"
    environ = {
        "BROKER_BASE_URL": "http://localhost/broker",
        "BROKER_SHARED_ORIGIN": "true",
        "BROKER_SERVE__BIND": written.format(port=port, file=file),
    }
    config = load(setting.config, environ)
    assert ask_health(config) == ("no answer", [])
    host = f"unix://{file}" if "file" in written else "127.0.0.1"
    with _serving(host, port, 200, b"{}") as asked:
        assert ask_health(config) == ("ready", [])
    assert asked == ["/broker/readyz"]


@pytest.mark.server
@pytest.mark.parametrize(
    ("status", "body", "health"),
    [
        (503, json.dumps({"ready": False, "store": ["x"], "metadata": "ok"}), ("not ready", ["store: x"])),
        (404, "{}", ("not ready", [])),
        (200, "<html>", ("no answer", [])),
    ],
)
def test_health_says_why_not(setting: Setting, status: int, body: str, health: tuple[str, list[str]]) -> None:
    """The command lists the reasons; an answer of another program counts as none."""
    port = free_port()
    config = load(setting.config, {"BROKER_SERVE__BIND": f"127.0.0.1:{port}"})
    with _serving("127.0.0.1", port, status, body.encode()):
        assert ask_health(config) == health
