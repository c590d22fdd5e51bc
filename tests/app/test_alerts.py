"""Alerts of the table: silent on a sound broker, and firing when their fault is there."""

import io
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from threading import Thread, Timer
from types import SimpleNamespace
from typing import Final

import pytest
import requests
import yaml
from werkzeug.serving import make_server

from broker.adapters.observability.metric_table import TABLE
from broker.app.readiness import describe_process
from broker.app.server import refresh
from broker.app.work_lock import hold_work_lock
from broker.core.borrowers.registered_person import RegisterUnavailable
from broker.core.errors import LibraryUnavailable
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.core.mail.mail_contents import ConnectedAccountMail
from broker.demo.run.demo_folder import Setting
from tests.adapters.person_register.conftest import certificates
from tests.app.alert_rules import Evaluation, Samples, read_page
from tests.cli.feed_deployment import FeedDeployment
from tests.plugins.deployment import Clock, Deployment, run_deployment
from tests.plugins.feed_server import publishing
from tests.plugins.metric_files import ALERTS as RULES
from tests.plugins.ports import free_port

ALERTS: Final = {row.alert.name: row.alert.expression for row in TABLE if row.alert}
CPR: Final = "1403044004"
_PLENTY: Final = 10**12
_REGISTER: Final = """
[person_register]
system = "datafordeler"
url = "{url}"
token_url = "{url}/token"
client_id = "broker"
certificate = "../tls/certificate.pem"
key = "../tls/key.pem"
ca_file = "../tls/certificate.pem"
"""


@dataclass
class Site:
    """A broker that follows a feed and asks a register; nobody listens at its register and its mail server."""

    deployment: Deployment
    feed: FeedDeployment
    folder: Path
    patch: pytest.MonkeyPatch
    work: ExitStack
    other_machine: Samples = field(default_factory=dict)
    last_week: tuple[Samples, Samples] = ({}, {})
    ahead: float = 0.0  # of Prometheus, in seconds

    def scrape(self) -> Samples:
        """Read the page of metrics, and what another machine said."""
        page = self.deployment.app.test_client().get("/metrics").text
        return {**self.other_machine, **read_page(page)}

    def fires(self, expression: str, cause: Callable[["Site"], None]) -> bool:
        """Cause a fault, a second time if that is needed: a counter is new when it is first seen."""
        before = self.scrape()
        for _ in range(2):
            cause(self)
            after = self.scrape()
            if self.evaluate(expression, before, after):
                return True
            before = after
        return False

    def evaluate(self, expression: str, before: Samples, after: Samples) -> bool:
        """Return whether a rule is raised."""
        now = self.deployment.clock.now().timestamp() + self.ahead
        return Evaluation(before, after, now, self.last_week).fires(expression)

    def edit_students(self, old: str, new: str) -> None:
        """Edit the students' policies."""
        file = self.folder / "policies" / "student.yaml"
        file.write_text(file.read_text().replace(old, new, 1))
        refresh(self.deployment.parts)

    def change_store(self, statement: str) -> None:
        """Change the store behind the broker's back."""
        connection = sqlite3.connect(self.folder.parent / "broker.db", timeout=60)
        connection.execute(statement)
        connection.commit()
        connection.close()


@pytest.fixture
def site(setting: Setting, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give a sound broker of the test's own."""
    folder = shutil.copytree(
        setting.folder, tmp_path / "demo", ignore=shutil.ignore_patterns("broker.db*", "last-good")
    )
    certificates(tmp_path / "tls")
    monkeypatch.setattr("broker.app.readiness.now", clock.now)
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_bavail=_PLENTY, f_frsize=1))
    with publishing() as publisher, ExitStack() as work:
        feed = FeedDeployment(replace(setting, folder=folder), publisher)
        feed.publish()
        feed.follow()
        nobody = f"127.0.0.1:{free_port()}"
        table = _REGISTER.format(url=f"https://{nobody}")
        feed.setting.config.write_text(feed.setting.config.read_text() + table)
        with run_deployment(feed.setting, tmp_path, clock, {"BROKER_MAIL__URL": f"smtp://{nobody}"}) as deployment:
            work.enter_context(hold_work_lock(deployment.parts.config.state))
            deployment.parts.metadata.refresh(clock.now(), force=True)
            found = Site(deployment, feed, folder, monkeypatch, work)
            call_library(found)
            yield found


# The faults


def restart_work(site: Site) -> None:
    """Start ``broker work`` six times."""
    for _ in range(6):
        site.deployment.parts.tell(BrokerEvent(EventKind.WORK_STARTED))


def send_faulty_messages(site: Site) -> None:
    """Send messages that are no Response."""
    client = site.deployment.app.test_client()
    for _ in range(15):
        client.post("/saml/sp/wayf/acs", data={"SAMLResponse": "PHg+PC94Pg=="})


def answer_slowly(site: Site) -> None:
    """Let each request take six seconds by the clock of the application."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("broker.app.application.time", SimpleNamespace(perf_counter=count(0, 6).__next__))
        site.deployment.app.test_client().get("/healthz")


def end_logins(site: Site) -> None:
    """Let a person log in a week ago, then eleven more, and nobody since then."""
    if site.last_week[0]:
        return
    person = site.deployment.person()
    person.agree(person.log_in("asta"))
    before = site.scrape()
    facts = {"service": "my-loans", "upstream": "wayf", "affiliation": "student"}
    for _ in range(11):
        site.deployment.parts.tell(BrokerEvent(EventKind.ASSERTION_ISSUED, facts))
    site.last_week = before, site.scrape()


def lock_store(site: Site) -> None:
    """Let another program hold the write lock of the store for 0.4 s."""
    path = site.folder.parent / "broker.db"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
    connection.execute("BEGIN IMMEDIATE")
    timer = Timer(0.4, connection.rollback)
    timer.start()
    site.deployment.app.test_client().get("/readyz")
    timer.join()
    connection.close()


def call_library(site: Site) -> None:
    """Call the library system."""
    parts = site.deployment.parts
    with suppress(LibraryUnavailable):
        parts.library.read("1", site.deployment.clock.now() + timedelta(seconds=60))


def slow_down_library(site: Site) -> None:
    """Let a call of the library system take more than two seconds."""
    site.deployment.koha.faults.slow = 2.05
    call_library(site)
    site.deployment.koha.faults.slow = 0


def stop_library(site: Site) -> None:
    """Let the library system answer 503."""
    site.deployment.koha.faults.down = True
    call_library(site)


def check_library(site: Site) -> None:
    """Let the worker check the set-up of a library system that is down."""
    site.deployment.parts.setup_checker.step()


def wait_for_enrolment(site: Site) -> None:
    """Let an enrolment fail for 20 minutes."""
    person = site.deployment.person()
    person.agree(person.log_in("karla"))
    site.deployment.wait_until(
        lambda: any(each.failing_since for each in site.deployment.enrolments()), "an attempt failed"
    )
    site.deployment.clock.ahead += timedelta(minutes=20)


def ask_register(site: Site) -> None:
    """Ask the register, where nobody listens."""
    register = site.deployment.parts.register
    assert register
    with suppress(RegisterUnavailable):
        register.look_up(CPR, site.deployment.clock.now() + timedelta(seconds=60))


def queue_mail(site: Site) -> None:
    """Let a mail wait for 40 minutes."""
    site.deployment.parts.outbox.queue_mail(
        site.deployment.parts.outbox.draft_mail("aase@example.org", ConnectedAccountMail(), "en", about="17")
    )
    site.deployment.clock.ahead += timedelta(minutes=40)


def end_soon(gauge: str) -> Callable[[Site], None]:
    """Return a cause that lets the time be an hour before the first end in a gauge."""

    def move_time(site: Site) -> None:
        first = min(value for (name, _), value in site.scrape().items() if name == gauge)
        site.ahead = first - 3600 - site.deployment.clock.now().timestamp()

    return move_time


def publish_unsigned_feed(site: Site) -> None:
    """Let the federation publish a feed that nobody signed."""
    site.feed.publish(sign=False)
    site.deployment.parts.metadata.refresh(site.deployment.clock.now(), force=True)


def break_descriptor(site: Site) -> None:
    """Put a file that is no XML into the metadata folder."""
    (site.folder / "metadata" / "broken.xml").write_text("<")
    for _ in range(3):  # a file is read when it has been the same for two looks
        refresh(site.deployment.parts)


def change_policies(site: Site) -> None:
    """Load other policies than another machine."""
    found = site.scrape().items()
    site.other_machine = {key: value for key, value in found if key[0] == "broker_policies_loaded"}
    site.edit_students("review_by: 2027-06-30", "review_by: 2027-07-30")


def break_policies(site: Site) -> None:
    """Break the policies."""
    site.edit_students("precedence", "precedense")


def report_other_release(site: Site) -> None:
    """Let another machine report another release."""
    parts, now = site.deployment.parts, site.deployment.clock.now()
    parts.fleet.report(replace(describe_process(parts, "serve"), machine="other", release="0.0", at=now), now)


def hang_reload(site: Site) -> None:
    """Let the reload thread finish no round for two minutes."""
    site.deployment.parts.last_reload.at = site.deployment.clock.now() - timedelta(minutes=2)


def fill_disk(site: Site) -> None:
    """Let the disk be nearly full."""
    site.patch.setattr("os.statvfs", lambda _: SimpleNamespace(f_bavail=10**8, f_frsize=1))


def close_log(site: Site) -> None:
    """Let nothing be written to the log."""
    closed = io.StringIO()
    closed.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", closed)
        site.deployment.parts.tell(BrokerEvent(EventKind.WORK_STARTED))


def fail_writes(site: Site) -> None:
    """Let the store refuse to count, as it does on a full disk."""
    site.change_store(
        "CREATE TRIGGER IF NOT EXISTS full BEFORE INSERT ON counter BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    client = site.deployment.app.test_client()
    for _ in range(8):
        assert client.get("/readyz").status_code == 503


# In an order in which no fault hides a later one.
FAULTS: Final[Mapping[str, Callable[[Site], None]]] = {
    "BrokerWorkStopped": lambda site: site.work.close(),
    "BrokerWorkRestarts": restart_work,
    "BrokerMessagesRefused": send_faulty_messages,
    "BrokerSlow": answer_slowly,
    "BrokerNoLogins": end_logins,
    "BrokerStoreSlow": lock_store,
    "BrokerLibrarySlow": slow_down_library,
    "BrokerRegisterDown": ask_register,
    "BrokerFeedRefused": publish_unsigned_feed,
    "BrokerMetadataFaulty": break_descriptor,
    "BrokerPoliciesDiffer": change_policies,
    "BrokerPoliciesStale": break_policies,
    "BrokerFleetDiffers": report_other_release,
    "BrokerDiskFull": fill_disk,
    "BrokerLogLinesDropped": close_log,
    "BrokerLibraryDown": stop_library,
    "BrokerLibraryFault": check_library,
    "BrokerEnrolmentsFail": wait_for_enrolment,
    "BrokerMailsWait": queue_mail,
    "BrokerReloadHangs": hang_reload,
    "BrokerFeedEnds": end_soon("broker_feed_valid_until_timestamp_seconds"),
    "BrokerMetadataEnds": end_soon("broker_metadata_ends_timestamp_seconds"),
    "BrokerCertificateEnds": end_soon("broker_own_certificate_ends_timestamp_seconds"),
    "BrokerStoreLost": lambda site: site.change_store("DELETE FROM record"),
    "BrokerErrors": fail_writes,
    "BrokerNotReady": fail_writes,
}
# On a busy machine a sound broker is slow too.
_OF_TIME: Final = {"BrokerSlow", "BrokerStoreSlow", "BrokerLibrarySlow"}


@pytest.mark.long("causes the fault of each alert")
def test_every_alert_fires_when_its_fault_is_there_and_not_before(site: Site) -> None:
    """An alert that nobody has seen fire may never fire."""
    before, after = site.scrape(), site.scrape()
    quiet = {name: text for name, text in ALERTS.items() if name not in _OF_TIME}
    assert [name for name, text in quiet.items() if site.evaluate(text, before, after)] == []
    fired = [name for name, cause in FAULTS.items() if site.fires(ALERTS[name], cause)]
    assert fired == list(FAULTS)
    assert set(fired) == set(ALERTS)


def scrape_server(url: str) -> Samples:
    """Return what Prometheus adds to a scrape: ``up`` is 0 if the server does not answer."""
    try:
        is_up = requests.get(f"{url}/metrics", timeout=10).ok
    except requests.ConnectionError:
        is_up = False
    return {("up", frozenset({("job", "broker")})): float(is_up)}


def test_broker_down_fires_when_the_server_has_stopped(site: Site) -> None:
    """The rule stands in the file only: no metric of the broker can say that it is down."""
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    (expression,) = (rule["expr"] for rule in rules if rule["alert"] == "BrokerDown")
    server = make_server("127.0.0.1", 0, site.deployment.app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.port}"
    running = scrape_server(url)
    server.shutdown()
    thread.join()
    server.server_close()
    assert not site.evaluate(expression, running, running)
    assert site.evaluate(expression, running, scrape_server(url))
