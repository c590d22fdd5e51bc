"""What a probe and an administrator are told: readiness, findings, and which broker is asked for its health."""

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

from broker.adapters.web.page_layout import Imprint
from broker.adapters.web.pages.pictures import Pictures
from broker.app import configured_texts, diagnostics, fault_accounts, health_probe, readiness
from broker.app.assembly import Parts, assemble, now
from broker.app.enrolment_operations import describe_person, find_person
from broker.app.findings import all_findings
from broker.app.health_probe import Health
from broker.app.metric_gauges import gauges
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.entities import Text
from broker.core.errors import ConfigurationFaults, Fault, StoreUnavailable
from broker.core.event_routes import TraceFacts
from broker.core.person_record import PersonRecord
from broker.core.stateless_references import StatelessReferences
from broker.demo.run.demo_folder import HUB, Setting
from broker.files.settings.config import Config, load
from broker.use_cases.login.support_traces import SupportTraces
from tests.plugins.ports import free_port
from tests.plugins.staff import unstaffed


@pytest.fixture
def parts(setting: Setting, tmp_path: Path) -> Parts:
    """Give a broker's parts over an empty store; nobody listens at its library system."""
    return assemble(load(setting.config, {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}))


def test_a_sound_broker_is_ready(parts: Parts) -> None:
    """Nothing is said under any of what is checked."""
    assert readiness.readiness(parts) == {"store": (), "metadata": [], "policies": [], "library": [], "audit": []}


def test_a_store_that_cannot_be_written_is_not_ready(parts: Parts, tmp_path: Path) -> None:
    """It can still be read, but every login writes: a full disk, a replica, a file that lost its mode."""
    connection = sqlite3.connect(tmp_path / "broker.db")
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON counter BEGIN SELECT RAISE(ABORT, 'full'); END")
    connection.commit()
    connection.close()
    (said,) = readiness.readiness(parts)["store"]
    assert said.startswith("cannot be used: sqlite: SQLITE_CONSTRAINT")


def test_a_library_that_is_down_is_a_finding_and_no_reason_to_take_no_logins(parts: Parts) -> None:
    """Who needs no new account logs in all the same."""
    assert not any(readiness.readiness(parts).values())
    mend = f"({parts.config.library.url}: see library.url, and whether the library system is up)"
    assert [each for each in all_findings(parts) if each.startswith("library: ")] == [
        f"library: Koha: no answer: ConnectionError {mend}"
    ]


def test_a_mail_server_that_is_down_is_a_finding(parts: Parts) -> None:
    """With its address and where to look: it was "all well" until the first PIN was owed."""
    (finding,) = (each for each in all_findings(parts) if each.startswith("mail: "))
    assert finding.startswith(f"mail: {parts.config.mail.url}: connecting: ConnectionRefusedError (see mail.url")


@pytest.mark.server
def test_a_feed_that_does_not_answer_is_a_finding_with_its_address_and_where_to_look(
    setting: Setting, tmp_path: Path
) -> None:
    """What is to be mended is told beside what is refused."""
    feed = "http://127.0.0.1:1/feed.xml"
    environ = {
        "BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}",
        "BROKER_STATE": str(tmp_path),
        "BROKER_FEEDS__HUB__URL": feed,
        "BROKER_FEEDS__HUB__PINS": json.dumps([str(setting.folder / "keys" / "idp-signing" / "current.crt")]),
    }
    opened = assemble(load(setting.config, environ))
    opened.metadata.refresh(now(), force=True)
    (finding,) = (each for each in all_findings(opened) if feed in each)
    assert "(feed.unreachable)" in finding
    assert finding.endswith("(see its url and ca_file, and whether this machine reaches it)")


def test_a_hub_without_metadata_is_found_once(setting: Setting, tmp_path: Path) -> None:
    """Why nobody can log in and which party is lost are one cause."""
    (tmp_path / "metadata").mkdir()
    environ = {"BROKER_METADATA": str(tmp_path / "metadata"), "BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}
    told = [each for each in all_findings(assemble(load(setting.config, environ))) if HUB in each]
    assert told == [f"metadata: no metadata of {HUB} is in force"]


def test_a_state_folder_that_cannot_be_written_is_one_fault(setting: Setting, tmp_path: Path) -> None:
    """The store and the trail in it fail by the same cause, which is told once, by the key to mend."""
    (tmp_path / "state").write_text("no folder")
    with pytest.raises(ConfigurationFaults) as caught:
        assemble(load(setting.config, {"BROKER_STATE": str(tmp_path / "state")}))
    (fault,) = caught.value.faults
    assert (fault.where, str(tmp_path / "state") in fault.what) == ("state", True)


def test_the_last_proof_of_the_library_system_is_a_note_and_a_gauge(parts: Parts) -> None:
    """A fault in its set-up takes no broker out of the balancer; it is told by name."""
    assert "library" not in readiness.notes(parts)
    parts.library_proof.step()
    assert readiness.notes(parts)["library"] == "Koha: no answer: ConnectionError"
    found = [gauge for gauge in gauges(parts) if gauge.name == "broker_library_fault"]
    assert [(gauge.labels, gauge.value) for gauge in found] == [({"setting": "unavailable"}, 1)]
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
        parts.enrolment_ports.persons.change(enrolment.id, partial(stored, enrolment), now())
    assert readiness.notes(parts)["enrolments"] == (
        "1 cases wait for staff; 1 enrolments have failed for 15 minutes: broker enrolments list; "
        "enrolments wait for a correction in the library system: category_id STUD"
    )
    page = parts.metrics.page(list(gauges(parts))).decode()
    assert 'broker_enrolments{reason="several_borrowers",state="case"} 1.0' in page
    assert 'broker_enrolments{reason="library_setup",state="pending"} 1.0' in page


def stored(enrolment: Enrolment, person: PersonRecord) -> PersonRecord:
    """Return the record with the enrolment."""
    return person.with_enrolment(enrolment)


def test_a_store_that_is_down_hides_no_other_note(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told under its own name."""
    monkeypatch.setattr(type(parts.store), "get", lambda *_: (_ for _ in ()).throw(StoreUnavailable("down")))
    assert "library" not in readiness.notes(parts)
    assert "enrolments" not in readiness.notes(parts)
    hidden = ("broker_library_fault", "broker_enrolments")
    assert not [gauge for gauge in gauges(parts) if gauge.name in hidden]


def test_what_a_policy_names_and_the_library_system_has_not_is_a_finding(setting: Setting, tmp_path: Path) -> None:
    """With the line of the policy file, and what was meant: a field that the connector has not stops the start."""
    folder = shutil.copytree(setting.folder, tmp_path / "misspelt", ignore=shutil.ignore_patterns("last-good"))
    file = folder / "policies" / "private.yaml"
    file.write_text(file.read_text().replace("{surname:", "{surnam:"))
    with pytest.raises(ConfigurationFaults) as found:
        assemble(load(folder / setting.config.name, {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}))
    told = "policies/private.yaml:23: the library system has no field 'surnam' (did you mean 'surname'?)"
    assert [str(fault) for fault in found.value.faults] == [told]


def findings_after(setting: Setting, tmp_path: Path, *edits: tuple[str, str]) -> list[str]:
    """Give the findings of the demo's configuration with these parts of it replaced."""
    text = setting.config.read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    folder = shutil.copytree(setting.folder, tmp_path / "changed", dirs_exist_ok=True)
    file = folder / setting.config.name
    file.write_text(text)
    return all_findings(assemble(load(file, {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"})))


def test_a_trail_that_cannot_be_written_is_one_finding(setting: Setting, tmp_path: Path) -> None:
    """It keeps logins out and is found once."""
    folder = tmp_path / "audit"
    environ = {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}", "BROKER_AUDIT__FOLDER": str(folder)}
    parts = assemble(load(unstaffed(setting, tmp_path).config, environ))
    shutil.rmtree(folder)
    assert readiness.readiness(parts)["audit"]
    assert len([each for each in all_findings(parts) if each.startswith("audit: ")]) == 1


def test_what_keeps_logins_out_is_found_once(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata's faults are among what makes a broker unready and among its metadata's own findings."""
    monkeypatch.setattr(type(parts.metadata), "faults", lambda *_: ["of the hub is over"])
    assert all_findings(parts).count("metadata: of the hub is over") == 1


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
    findings = all_findings(assemble(load(file, environ)))
    begin = ("serve.proxies is 0", "accessibility_statement is not set")
    assert tuple(any(each.startswith(one) for each in findings) for one in begin) == found


def test_a_library_that_says_too_little_of_itself_is_told(setting: Setting, tmp_path: Path) -> None:
    """A name, and a mail address or a telephone number to turn to: without them letters say little."""
    name, mail, phone = (
        'name = { en = "Demo library", da = "Demobiblioteket" }\n',
        'email = "help@library.example"\n',
        'phone = "+45 00 00 00 00"\n',
    )
    findings = findings_after(setting, tmp_path, (name, ""), (mail, ""), (phone, ""))
    assert any(each.startswith("contact.name is not set") for each in findings)
    assert any(each.startswith("neither contact.email nor contact.phone") for each in findings)
    assert not any("contact." in each for each in findings_after(setting, tmp_path, (phone, "")))


@pytest.mark.parametrize("missing", ['university = "wayf"\n', 'national_eid = "nemid"\n'])
def test_sign_up_pages_that_are_not_there_are_told(setting: Setting, tmp_path: Path, missing: str) -> None:
    """The service alone makes no pages: whoever set it meant them."""
    assert any("there are no sign-up pages" in each for each in findings_after(setting, tmp_path, (missing, "")))
    assert not any("no sign-up pages" in each for each in findings_after(setting, tmp_path))


def imprinted(config: Config) -> Imprint:
    """Give the library behind the pages as the configuration says it."""
    return configured_texts.imprint(config, Pictures.read(config.base_url, config.pictures()))


def test_no_link_leads_to_sign_up_pages_that_are_not_there(setting: Setting) -> None:
    """Neither the imprint nor a refusal names them, and nobody is sent to an answer of theirs."""
    config = load(setting.config, {})
    assert imprinted(config).sign_up == Text(f"{config.base_url}/sign-up", f"{config.base_url}/sign-up")
    assert imprinted(config).help.endswith("/sign-up/faq")
    bare = config.model_copy(update={"sign_up": config.sign_up.model_copy(update={"university": None})})
    assert (imprinted(bare).sign_up, imprinted(bare).help, configured_texts.sign_up_url(bare)) == (None, "", None)


def test_a_library_without_a_name_has_one_in_each_language(setting: Setting) -> None:
    """Alone and in a sentence: English words do not stand on Danish pages."""
    config = load(setting.config, {"BROKER_CONTACT__NAME": ""})
    assert (imprinted(config).name.da, configured_texts.called(config).da) == ("Biblioteket", "biblioteket")
    assert (imprinted(config).name.en, configured_texts.called(config).en) == ("The library", "the library")
    assert configured_texts.called(load(setting.config, {})).da == "Demobiblioteket"


def test_a_library_may_have_a_name_in_each_language(setting: Setting) -> None:
    """Pages and mails use the one that fits."""
    name = '{"en": "Royal Danish Library", "da": "Det Kgl. Bibliotek"}'
    config = load(setting.config, {"BROKER_CONTACT__NAME": name})
    called = Text("Royal Danish Library", "Det Kgl. Bibliotek")
    assert (imprinted(config).name, configured_texts.called(config)) == (called, called)


def test_a_store_that_may_lose_enrolments_is_not_served(parts: Parts, tmp_path: Path) -> None:
    """What was acknowledged must not be forgotten; the administrator may accept that in so many words.

    Source: docs/reference/design.md#4b.
    """
    readiness.fit_to_serve(parts)
    (tmp_path / "broker.db").chmod(0o644)
    with pytest.raises(ConfigurationFaults, match=r"mode 0600\. \(or set store\.accept_loss = true\)"):
        readiness.fit_to_serve(parts)


def test_a_reference_is_found_as_it_was_read_out(parts: Parts) -> None:
    """Small letters and spaces do not matter; an unknown one gives nothing."""
    SupportTraces(parts.store).leave(TraceFacts("BCDFGHJK", now(), "ask", "too_many"))
    found = diagnostics.trace(parts, "bcdf ghjk")
    assert found is not None
    assert (found["step"], found["reason"], found["upstream"]) == ("ask", "too_many", None)
    assert diagnostics.trace(parts, "BCDFGHJL") is None


def test_the_reference_of_a_stranger_says_it_by_itself(parts: Parts) -> None:
    """Nothing was stored, and the desk reads minute, step and reason all the same."""
    at = now()
    reference = StatelessReferences(parts.keys.index).of("/login/<name>", "transaction_gone", at)
    found = diagnostics.trace(parts, f"{reference[:4].lower()} {reference[4:8]} {reference[8:]}")
    assert found is not None
    assert (found["step"], found["reason"]) == ("/login/<name>", "transaction_gone")
    assert found["at"] == at.isoformat(timespec="minutes")
    described = describe_person(find_person(parts, reference))
    assert (described["page_reason"], described["action"]) == ("transaction_gone", "Nothing to do for the library.")


def test_where_to_look_is_added_only_where_nobody_said_it() -> None:
    """A fault keeps its own mend; what does not answer gets one."""
    own, bare = Fault("store_unavailable", "x", "own"), Fault("store_unavailable", "x")
    said = [str(fault) for fault in fault_accounts.account(ConfigurationFaults([own, bare]))]
    assert said[0] == "store_unavailable: x (own)"
    assert said[1].startswith("store_unavailable: x (see [store] url")


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
    assert health_probe.health(config) == Health("no answer")
    host = f"unix://{file}" if "file" in written else "127.0.0.1"
    with _serving(host, port, 200, b"{}") as asked:
        assert health_probe.health(config) == Health("ready")
    assert asked == ["/broker/readyz"]


@pytest.mark.server
@pytest.mark.parametrize(
    ("status", "body", "health"),
    [
        (503, json.dumps({"ready": False, "store": ["x"], "metadata": "ok"}), Health("not ready", ("store: x",))),
        (404, "{}", Health("not ready")),
        (200, "<html>", Health("no answer")),
    ],
)
def test_health_says_why_not(setting: Setting, status: int, body: str, health: Health) -> None:
    """The reasons that only this machine is told; an answer that is none of the broker's is none."""
    port = free_port()
    config = load(setting.config, {"BROKER_SERVE__BIND": f"127.0.0.1:{port}"})
    with _serving("127.0.0.1", port, status, body.encode()):
        assert health_probe.health(config) == health
