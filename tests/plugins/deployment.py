"""Runs a whole broker in the process of the test, with HTTP to a simulated Koha and a real mail server."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import html
from werkzeug.test import Cookie, TestResponse

from broker.adapters.saml.xml_security import encryption, http_bindings, signature
from broker.adapters.web.pages.web_ports import WebPorts
from broker.app import application, assembly
from broker.app.application import create_app
from broker.configuration.settings.config import load
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.ports import Key
from broker.demo.koha import simulated_koha
from broker.demo.koha.sip2_server import TERMINALS, serve_sip2
from broker.demo.library import services
from broker.demo.library.sip2_client import Machine
from broker.demo.people.persona import Persona
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB, SERVICES, Ports, Setting, write
from broker.demo.run.demo_library import simulate_koha
from broker.demo.run.loopback_server import serve_on_loopback
from broker.demo.run.mail_server import Mailbox, ReceivedMail
from broker.demo.upstreams import wayf_hub
from broker.use_cases.enrolment import find_borrower
from broker.use_cases.enrolment.cases import EnrolmentCases, StaffEnrolment
from broker.use_cases.login.login import LoginFlow
from broker.use_cases.pins import library_login
from tests.plugins.background_loop import PATIENCE, QUEUED, run_background_loop
from tests.plugins.ports import free_port


@dataclass(slots=True)
class Clock:
    """The clock of the broker under test; a test can move it."""

    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        """Return the broker's time."""
        return datetime.now(UTC) + self.ahead


@dataclass(slots=True)
class Deployment:
    """The broker and the parties around it."""

    setting: Setting
    app: Flask
    koha: simulated_koha.Simulation
    machine: Machine
    received: Mailbox
    clock: Clock

    @property
    def parts(self) -> assembly.Parts:
        """Return the broker's parts."""
        found: assembly.Parts = self.app.extensions["broker"]
        return found

    @property
    def ports(self) -> WebPorts:
        """Return the objects that the broker's endpoints use."""
        found: WebPorts = self.app.view_functions["login.show"].__self__.ports  # type: ignore[union-attr]
        return found

    def be_patient(self) -> None:
        """Let a login wait for its borrower, even on a busy machine."""
        object.__setattr__(self.ports, "patience", PATIENCE)

    @property
    def broker(self) -> LoginFlow:
        """Return the login flow."""
        return self.ports.login_flow

    @property
    def mailbox(self) -> Mailbox:
        """Return the mailbox after all due mails are sent."""
        self.wait_until(lambda: not self._mails_due(), "every mail was sent")
        return self.received

    def _mails_due(self) -> list[Key]:
        now = self.clock.now()
        return [key for key, kept in self.parts.store.list("mail", None, now) if kept.due and kept.due <= now]

    def person(self) -> "Person":
        """Return a new browser."""
        return Person(self, self.app.test_client())

    def person_without_code(self) -> "Person":
        """Return a new browser; from now on number and PIN suffice (``mail_code = "never"``)."""
        object.__setattr__(self.parts.library_logins, "mail_code", "never")
        return self.person()

    @property
    def peer(self) -> services.BrokerAsIdp:
        """Return the broker's identity provider as its services know it."""
        base = self.setting.ports.origin("broker")
        keys = tuple(signature.VerifyKey.load(each) for each in self.parts.keys.idp.signing_certificates)
        return services.BrokerAsIdp(f"{base}/saml/idp/metadata", f"{base}/saml/idp/sso", keys, f"{base}/saml/idp/slo")

    def site(self, service: str) -> services.Site:
        """Return one of the library's services."""
        title, _, entity_id = SERVICES[service]
        return services.Site(title, entity_id, f"{self.setting.ports.origin('library')}/{service}/acs")

    def hub_key(self) -> signature.SigningKey:
        """Return the key the hub signs with."""
        return signature.SigningKey.load(self.setting.hub.key.encode(), self.setting.hub.certificate.encode())

    def answer(
        self, url: str, who: Persona | str | None, key: signature.SigningKey | None = None
    ) -> tuple[str, dict[str, str]]:
        """Let the hub answer the AuthnRequest in ``url`` for a persona (None: cancelled); return ACS and fields."""
        asked = wayf_hub.read(urlsplit(url).query)
        someone = persona(who) if isinstance(who, str) else who
        xml = wayf_hub.response(HUB, asked, someone, key or self.hub_key(), self.clock.now())
        return asked.acs, http_bindings.build_post_fields(xml, "SAMLResponse", asked.relay_state)

    def landing(self, response: TestResponse) -> services.Landing:
        """Read the Response of a self-posting page as the service does."""
        fields = next(fields for _, fields in forms(response) if "SAMLResponse" in fields)
        keys = encryption.DecryptionKeys.load([self.setting.library.key.encode()])
        return services.land(http_bindings.decode_post(fields["SAMLResponse"]), self.peer, keys)

    def borrower_calls(self) -> list[str]:
        """Return the calls to the library system's borrowers so far, as method and path."""
        return [line for line in self.koha.access if "/api/v1/patrons" in line or "/auth/password/" in line]

    def wait_until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until the worker loop has made ``holds`` true."""
        ends = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < ends, f"timed out before {what}"
            self.parts.enrolments.sleep(0.02)

    def wait_for_mails(self, number: int) -> ReceivedMail:
        """Wait until ``number`` mails have arrived; return the newest."""
        self.wait_until(lambda: len(self.mailbox.mails()) >= number, f"{number} mails came")
        return self.mailbox.mails()[0]

    def list_pending_enrolments(self) -> list[Enrolment]:
        """Return the pending enrolments."""
        return [each for each in self.enrolments() if each.state is EnrolmentState.PENDING]

    def enrolments(self) -> list[Enrolment]:
        """Return every stored enrolment."""
        records = self.parts.enrolment_ports.persons.list_all(self.clock.now())
        return [each.value.enrolment for each in records if each.value.enrolment]

    def list_staff_cases(self) -> list[StaffEnrolment]:
        """Return the open cases and failing enrolments as staff see them."""
        return list(self._staff.list_open())

    def try_again(self, person_id: str) -> bool:
        """Press "Try again" in the staff view."""
        return self._staff.try_again(person_id)

    @property
    def _staff(self) -> EnrolmentCases:
        return self.parts.enrolment_cases

    def wait_until_idle(self) -> None:
        """Wait until the worker loop has done all due work, including the audit log.

        Use it before a test changes records, moves the clock, or asserts that nothing more happened.
        """
        self.wait_until(lambda: not self.list_unfinished_work(), "nothing was under way")

    def list_unfinished_work(self) -> list[Key]:
        """Return the keys of due records and of leases."""
        store, now = self.parts.store, self.clock.now()
        queued = [entry for kind in QUEUED for entry in store.list(kind, None, now)]
        due = [key for key, kept in queued if kept.due and kept.due <= now]
        return due + [key for key, _ in store.list("lease", None, now)]


def forms(response: TestResponse) -> list[tuple[str, dict[str, str]]]:
    """Return the action and hidden fields of every form on the page."""
    return [(each.get("action") or "", _hidden(each)) for each in html.fromstring(response.get_data()).iter("form")]


def form(response: TestResponse, number: int = 0) -> tuple[str, dict[str, str]]:
    """Return the action and hidden fields of a form on the page."""
    return forms(response)[number]


def _hidden(of: html.HtmlElement) -> dict[str, str]:
    inputs = (each for each in of.iter("input") if each.get("type") == "hidden")
    return {str(each.get("name")): each.get("value") or "" for each in inputs}


def find_text(response: TestResponse, path: str) -> str:
    """Return the first match of an XPath on the page, as text."""
    hits = html.fromstring(response.get_data()).xpath(path)
    assert isinstance(hits, list)
    return str(hits[0])


def _first_button(page: TestResponse) -> dict[str, str]:
    """Return the field that the first button of the first form sends when Enter is pressed."""
    first = next(html.fromstring(page.get_data()).iter("form"))
    for button in first.iter("button"):
        if button.get("name") != "do":
            return {}
        return {"do": str(button.get("value"))}
    return {}


def mark(response: TestResponse) -> tuple[str, str]:
    """Return data-step and data-reason of a page."""
    main = next(html.fromstring(response.get_data()).iter("main"))
    return str(main.get("data-step")), str(main.get("data-reason"))


@dataclass(slots=True)
class Person:
    """One person's browser at the broker; the test plays the hub and the library's services."""

    deployment: Deployment
    client: FlaskClient

    def use_address(self, address: str) -> "Person":
        """Use another client address from now on."""
        self.client.environ_base["REMOTE_ADDR"] = address
        return self

    def get(self, url: str) -> TestResponse:
        """Open a URL of the broker and follow the redirects to the broker."""
        response = self.client.get(self.path(url), base_url=self.base)
        while response.status_code in {302, 303} and response.location.startswith(self.base + "/"):
            response = self.client.get(self.path(response.location), base_url=self.base)
        return response

    def post(self, url: str, fields: Mapping[str, Any], **headers: str) -> TestResponse:
        """Post a form as the broker's pages do; ``headers`` replace the browser's."""
        return self.bare_post(url, fields, {**self.own_headers(), **headers})

    @property
    def base(self) -> str:
        """Return the broker's origin."""
        return self.deployment.setting.ports.origin("broker")

    def ask(self, service: str = "my-loans", *, force: bool = False, passive: bool = False) -> TestResponse:
        """Send the AuthnRequest of a service."""
        url = services.request_url(
            self.deployment.site(service), service, self.deployment.peer, force=force, passive=passive
        )
        return self.get(url)

    def sso_path(self, service: str = "my-loans") -> str:
        """Return the path and query of a service's AuthnRequest."""
        return self.path(
            services.request_url(
                self.deployment.site(service), service, self.deployment.peer, force=False, passive=False
            )
        )

    def own_headers(self) -> dict[str, str]:
        """Return the headers that a browser sends with a form of the broker's pages."""
        return {"Sec-Fetch-Site": "same-origin", "Origin": self.base}

    def bare_post(self, url: str, fields: Mapping[str, Any], headers: Mapping[str, str]) -> TestResponse:
        """Post a form with these headers only; omit empty headers."""
        sent = {name: value for name, value in headers.items() if value}
        return self.client.post(self.path(url), data=fields, base_url=self.base, headers=sent)

    def cookies(self, prefix: str) -> list[Cookie]:
        """Return the cookies whose name begins with ``prefix``."""
        return [each for each in (self.client._cookies or {}).values() if each.key.startswith(prefix)]

    def choose(self, page: TestResponse, way: str = "wayf") -> str:
        """Choose a way to log in; return the URL of the upstream."""
        action, fields = form(page)
        onward = self.post(action, {**fields, "upstream": way})
        response = self.get(find_text(onward, "//main//a/@href"))
        assert response.status_code == 302
        return str(response.location)

    def deliver(self, acs: str, fields: Mapping[str, str]) -> TestResponse:
        """Post the hub's answer to the ACS, cross-site, without following redirects."""
        bare = self.deployment.app.test_client()
        return bare.post(self.path(acs), data=fields, base_url=self.base, headers={"Sec-Fetch-Site": "cross-site"})

    def deliver_answer(self, url: str, who: Persona | str | None) -> TestResponse:
        """Let the hub answer the AuthnRequest in ``url``, and post the answer without following redirects."""
        return self.deliver(*self.deployment.answer(url, who))

    def return_from_hub(self, url: str, who: Persona | str | None) -> TestResponse:
        """Let the hub answer the AuthnRequest in ``url`` for a persona; return the broker's next page."""
        return self.follow(self.deliver_answer(url, who))

    def follow(self, response: TestResponse) -> TestResponse:
        """Open the page that the broker redirects to, if it does."""
        return self.get(response.location) if response.status_code == 303 else response

    def log_in(self, name: str, way: str = "wayf", service: str = "my-loans", **how: bool) -> TestResponse:
        """Log in from a service through the hub; return the next page."""
        url = self.choose(self.ask(service, **how), way)
        arrived = self.deliver_answer(url, name)
        assert arrived.status_code == 303, mark(arrived)
        return self.get(arrived.location)

    def sign_up(self, name: str, affiliation: str, way: str = "wayf", service: str = "") -> TestResponse:
        """Log in from the last link of the sign-up pages; return the next page."""
        asked = f"{self.base}/sign-up/begin?affiliation={affiliation}&upstream={way}"
        away = self.get(asked + (f"&service={service}" if service else ""))
        assert away.status_code == 302, mark(away)
        arrived = self.deliver_answer(away.location, name)
        assert arrived.status_code == 303, mark(arrived)
        return self.get(arrived.location)

    def press(self, page: TestResponse, **fields: str) -> TestResponse:
        """Send the first form of a page with more fields; return the broker's next page."""
        action, hidden = form(page)
        sent = self.post(urljoin(page.request.url, action), {**hidden, **_first_button(page), **fields})
        return self.get(sent.location) if sent.status_code in {302, 303} else sent

    def agree(self, page: TestResponse, *, answer: str = "yes", remember: bool = False, **more: str) -> TestResponse:
        """Answer the consent screen; continue past the page that reports a changed category."""
        assert mark(page)[0] == "ask", mark(page)
        token = find_text(page, "//form[@class='answer']//input[@name='token']/@value")
        fields = {"token": token, "answer": answer, **({"remember": "yes"} if remember else {}), **more}
        sent = self.post(page.request.path, fields)
        if sent.status_code == 303 and sent.location.endswith("/claim"):
            return self.get(sent.location)
        told = sent.status_code == 303 and sent.location.endswith("/changed")
        return self.press(self.get(sent.location)) if told else sent

    def agree_if_asked(self, page: TestResponse) -> TestResponse:
        """Agree where the page is the consent screen."""
        return self.agree(page) if mark(page)[0] == "ask" else page

    @staticmethod
    def path(url: str) -> str:
        """Return the path and query of a URL."""
        parts = urlsplit(url)
        return parts.path + (f"?{parts.query}" if parts.query else "")


def change_persona(who: Persona, **attributes: tuple[str, ...]) -> Persona:
    """Return a persona with other attributes; () removes one."""
    given = {**who.attributes, **attributes}
    return replace(who, attributes={name: values for name, values in given.items() if values})


@pytest.fixture(scope="session")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """Write a demo folder with keys, once a run."""
    return write(tmp_path_factory.mktemp("deployment") / "demo", Ports(48080), datetime.now(UTC))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of the broker under test."""
    found = Clock()
    monkeypatch.setattr(assembly, "now", found.now)
    monkeypatch.setattr("broker.app.application.now", found.now)
    return found


@pytest.fixture
def environment() -> dict[str, str]:
    """Return the broker's environment variables; a test can parametrize them."""
    return {}


@pytest.fixture
def deployment(setting: Setting, tmp_path: Path, clock: Clock, environment: dict[str, str]) -> Iterator[Deployment]:
    """Return a broker with an empty store, a fresh library system and an empty mailbox."""
    with run_deployment(setting, tmp_path, clock, environment) as found:
        yield found


@pytest.fixture(scope="module")
def shared_deployment(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Return a broker that all tests of a module share, with the real time."""
    with run_deployment(setting, tmp_path_factory.mktemp("old"), Clock(), {}) as found:
        yield found


def _raise(error: Exception) -> None:
    raise error


@contextmanager
def run_deployment(
    setting: Setting,
    folder: Path,
    clock: Clock,
    environment: Mapping[str, str],
    report: Callable[[Exception], None] = _raise,
) -> Iterator[Deployment]:
    """Run a broker, its library system and its mail server, with their files in ``folder``.

    ``report`` receives the exceptions of the worker loop.
    """
    # Remove the last good policies of the previous broker: a missing file would be reported as moved away.
    shutil.rmtree(folder / "state" / "policies", ignore_errors=True)
    smtp, page = free_port(), free_port()
    system = simulate_koha()
    mailbox = Mailbox(smtp, page)
    koha = system.extensions["koha"]
    served = serve_on_loopback(system)
    with ExitStack() as stack, served as url, serve_sip2(koha.desk) as sip2, pytest.MonkeyPatch.context() as patch:
        stack.enter_context(mailbox.listen())
        # A check per second would only make the tests wait.
        patch.setattr(application, "CHECK_EVERY_S", 0.0)
        # Look-ups and PIN checks do not time out on a busy machine.
        for room, lasts in ((find_borrower, "REQUEST_CALL"), (library_login, "_CALL_TIMEOUT")):
            patch.setattr(room, lasts, timedelta(seconds=PATIENCE))
        environ = {
            "BROKER_LIBRARY__URL": url,
            "BROKER_STORE__URL": f"sqlite:{folder / 'broker.db'}",
            "BROKER_STATE": str(folder / "state"),
            "BROKER_MAIL__URL": f"smtp://127.0.0.1:{smtp}",
            **environment,
        }
        app = create_app(load(setting.config, environ))
        machine = Machine(sip2, *next(iter(TERMINALS.items())))
        found = Deployment(setting, app, koha, machine, mailbox, clock)
        found.be_patient()
        steps = (found.parts.person_worker.step, found.parts.outbox.step)
        with run_background_loop(found.parts.wake, steps, report):
            yield found
