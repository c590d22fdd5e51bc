"""Races and crashes around the store write that records an assertion before it leaves.

No assertion may leave without a stored session, or after its consent or session has ended. The audit log must match.
Each test interferes before, during or after this write.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from flask import redirect
from werkzeug import Response
from werkzeug.test import TestResponse

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.web.login.login import LoginEndpoints
from broker.core.consent.consent import ReceiptEvent
from broker.core.errors import StoreUnavailable
from broker.core.login.transaction import Transaction
from broker.use_cases.enrolment.borrower_at_login import BorrowerAtLogin
from broker.use_cases.logout.sessions import session_group
from broker.use_cases.storage.records import MOST_TRIES, load
from broker.use_cases.transactions.transactions import LoginContext
from tests.plugins.deployment import Deployment, Person, mark
from tests.plugins.stored_arrivals import read_stored_arrival
from tests.plugins.stored_receipts import file_receipt, list_receipts

pytestmark = pytest.mark.attack(15, 29, 30)
Around = Callable[[Transaction, Callable[[], bool]], bool]
STANDS: Final = ("released",)
OVERTAKEN: Final = ("released", "not_released", "released")


@pytest.fixture
def ready(deployment: Deployment) -> tuple[Person, str]:
    """Return a browser whose person has consented, and an arrival address that would return the assertion at once."""
    person = deployment.person()
    deployment.landing(person.agree(person.log_in("asta"), remember=True))
    arrived = person.deliver_answer(person.choose(person.ask()), "asta")
    return person, arrived.location


def replace_write(patch: pytest.MonkeyPatch, around: Around) -> None:
    """Call ``around`` instead of the first write that records an assertion."""
    plain = EncryptedStore.put_many
    done: list[bool] = []

    def put_many(self: EncryptedStore, first: Any, others: Any, now: Any, **how: Any) -> bool:
        transaction = load(Transaction, first.record.value) if first.key.kind == "transaction" else None
        if transaction is None or not transaction.issued or done:
            return plain(self, first, others, now, **how)
        done.append(True)
        return around(transaction, lambda: plain(self, first, others, now, **how))

    patch.setattr(EncryptedStore, "put_many", put_many)


def list_releases(deployment: Deployment, since: int) -> tuple[str, ...]:
    """Return the release events in the audit log since event number ``since``."""
    return tuple(each for each in list_events(deployment)[since:] if "released" in each)


def list_events(deployment: Deployment) -> list[str]:
    """Return the types of all events in the audit log."""
    audit_log = deployment.parts.audit_log
    assert isinstance(audit_log, StoredAuditLog)
    files = sorted(audit_log.files.folder.glob("*.jsonl"))
    return [json.loads(line)["event"] for each in files for line in each.read_text().splitlines()]


def list_open_sessions(deployment: Deployment) -> list[bytes]:
    """Return the open sessions in the store."""
    kept = [each for _, each in deployment.parts.store.list("session", None, deployment.clock.now())]
    return [each.value for each in kept if b'"ended":null' in each.value]


def join_only(self: LoginEndpoints, matched: LoginContext) -> Response:
    """Join the Response to the login without returning an assertion."""
    ports = self.ports
    joined = ports.login_flow.matching.store(matched, ports.now())
    assert joined
    return redirect(self.url(joined.transaction), 303)


def read_session(deployment: Deployment, page: TestResponse) -> Any:
    """Return the session index in the assertion of a page."""
    return deployment.landing(page).session


def test_another_tab_writes_before_the_write(
    deployment: Deployment, ready: tuple[Person, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another tab changes the login before the write. The broker decides again and logs one valid release."""
    person, url = ready
    before = len(list_events(deployment))

    def another(transaction: Transaction, write: Callable[[], bool]) -> bool:
        broker, now = deployment.broker, deployment.clock.now()
        broker.ask_upstream(broker.read(transaction.id, now), "wayf", now)
        return write()

    replace_write(monkeypatch, another)
    assert read_session(deployment, person.get(url))
    assert list_releases(deployment, before) == OVERTAKEN


def test_a_logout_before_the_write_stops_the_release(
    deployment: Deployment, ready: tuple[Person, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person logs out before the write. No assertion leaves, and the audit log cancels the release."""
    person, url = ready
    before, sessions = len(list_events(deployment)), len(list_open_sessions(deployment))

    def logs_out(transaction: Transaction, write: Callable[[], bool]) -> bool:
        assert transaction.browser
        deployment.broker.issuance.sessions.close(
            transaction.browser, session_group(transaction), deployment.clock.now()
        )
        return write()

    replace_write(monkeypatch, logs_out)
    assert mark(person.get(url)) == ("error", "transaction_gone")
    assert list_releases(deployment, before) == OVERTAKEN[:2]
    assert len(list_open_sessions(deployment)) == sessions
    assert mark(person.get(url)) == ("error", "transaction_gone")


def test_a_store_that_fails_halfway_loses_nothing(
    deployment: Deployment, ready: tuple[Person, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store fails after half of the write.

    The same address writes the session and returns the recorded assertion.
    """
    person, url = ready
    before, sessions = len(list_events(deployment)), len(list_open_sessions(deployment))
    plain = EncryptedStore.put_many
    halves: list[Any] = []

    def half(self: EncryptedStore, first: Any, others: Any, now: Any, **how: Any) -> bool:
        if first.key.kind == "transaction" and len(others) > 1 and not halves:
            halves.append(plain(self, first, (), now, **how))
            raise StoreUnavailable("gone")
        return plain(self, first, others, now, **how)

    monkeypatch.setattr(EncryptedStore, "put_many", half)
    assert mark(person.get(url)) == ("error", "store_unavailable")
    assert halves == [True]
    assert len(list_open_sessions(deployment)) == sessions
    first = read_session(deployment, person.get(url))
    assert first == read_session(deployment, person.get(url))
    assert len(list_open_sessions(deployment)) == sessions + 1
    assert list_releases(deployment, before) == STANDS


def test_a_store_that_fails_after_the_audit_log_loses_nothing(
    deployment: Deployment, ready: tuple[Person, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store fails between audit log and write.

    No assertion has left, and the same address works when it is opened again.
    """
    person, url = ready
    before = len(list_events(deployment))

    def dies(*_: Any) -> bool:
        raise StoreUnavailable("gone")

    replace_write(monkeypatch, dies)
    assert mark(person.get(url)) == ("error", "store_unavailable")
    assert list_releases(deployment, before) == STANDS
    assert read_session(deployment, person.get(url))
    assert list_releases(deployment, before) == STANDS * 2


def test_an_assertion_lost_after_the_write_is_repeated(
    deployment: Deployment, ready: tuple[Person, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store writes but its answer is lost.

    The same address returns the same assertion and logs no second release.
    """
    person, url = ready
    before, sessions = len(list_events(deployment)), len(list_open_sessions(deployment))

    def lost(_: Transaction, write: Callable[[], bool]) -> bool:
        assert write()
        raise StoreUnavailable("gone")

    replace_write(monkeypatch, lost)
    assert mark(person.get(url)) == ("error", "store_unavailable")
    assert read_session(deployment, person.get(url)) == read_session(deployment, person.get(url))
    assert len(list_open_sessions(deployment)) == sessions + 1
    assert list_releases(deployment, before) == STANDS


def test_an_issued_assertion_uses_up_its_arrival(deployment: Deployment, ready: tuple[Person, str]) -> None:
    """After the assertion left, the store no longer holds the upstream's answer, only that it was used."""
    person, url = ready
    arrivals, token = deployment.broker.arrivals, url.rpartition("=")[2]
    waiting = read_stored_arrival(arrivals, token, deployment.clock.now())
    assert waiting
    assert waiting.value.answer
    assert read_session(deployment, person.get(url))
    spent = read_stored_arrival(arrivals, token, deployment.clock.now())
    assert spent
    assert spent.value.answer is None


def test_a_late_store_answer_does_not_cancel_the_release(
    deployment: Deployment, ready: tuple[Person, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store answers late and another tab has written meanwhile. The release is not cancelled by mistake."""
    person, url = ready
    before = len(list_events(deployment))

    def twice(transaction: Transaction, write: Callable[[], bool]) -> bool:
        assert write()
        broker, now = deployment.broker, deployment.clock.now()
        broker.ask_upstream(broker.read(transaction.id, now), "wayf", now)
        return write()

    replace_write(monkeypatch, twice)
    first = read_session(deployment, person.get(url))
    assert first == read_session(deployment, person.get(url))
    assert list_releases(deployment, before) == STANDS


@pytest.mark.parametrize("shown", ["", "?lang=en"], ids=["arrived", "shown again"])
def test_a_store_that_rejects_all_writes_is_not_asked_forever(
    deployment: Deployment, ready: tuple[Person, str], monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    """The store rejects every write. The broker stops after some tries and cancels each logged release.

    Later the login succeeds.
    """
    person, url = ready
    if shown:
        with monkeypatch.context() as patched:
            patched.setattr(LoginEndpoints, "_join", join_only)
            assert person.client.get(person.path(url), base_url=person.base).status_code == 303
        url = url.partition("?")[0] + shown
    before = len(list_events(deployment))
    plain = EncryptedStore.put_many

    def never(self: EncryptedStore, first: Any, others: Any, now: Any, **how: Any) -> bool:
        return bool(first.key.kind != "transaction" or not others) and plain(self, first, others, now, **how)

    with monkeypatch.context() as patched:
        patched.setattr(EncryptedStore, "put_many", never)
        assert mark(person.get(url)) == ("error", "store_unavailable")
    assert list_releases(deployment, before) == OVERTAKEN[:2] * MOST_TRIES
    assert read_session(deployment, person.get(url))


def test_a_consent_withdrawn_during_a_slow_look_up_is_asked_again(
    deployment: Deployment, ready: tuple[Person, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consent is withdrawn while the library is slow, and another tab writes.

    The broker asks again and releases nothing.
    """
    person, url = ready
    before = len(list_events(deployment))
    plain = BorrowerAtLogin.find_account
    done: list[Transaction] = []

    def slow(self: BorrowerAtLogin, transaction: Transaction, *given: Any) -> Any:
        found = plain(self, transaction, *given)
        if not done:
            done.append(transaction)
            broker = deployment.broker
            person_id = transaction.person.id if transaction.person else ""
            deployment.clock.ahead += timedelta(seconds=6)
            now = deployment.clock.now()
            (agreed,) = list_receipts(broker.store, person_id, "my-loans", now)
            refused = replace(agreed, record_id="0" * 32, event=ReceiptEvent.REFUSED, event_time=now)
            file_receipt(broker.store, person_id, "my-loans", refused, now, hmacs=deployment.parts.keys.index)
            broker.ask_upstream(broker.read(transaction.id, now), "wayf", now)
        return found

    monkeypatch.setattr(BorrowerAtLogin, "find_account", slow)
    assert mark(person.get(url))[0] == "ask"
    assert done
    assert list_releases(deployment, before) == ()
