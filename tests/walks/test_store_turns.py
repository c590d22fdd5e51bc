"""How often a login turns to the store and to the audit log: one pass a request, and one write."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.stores.encrypted_store import EncryptedStore
from tests.plugins.deployment import Deployment

READS: Final = ("get", "get_many", "list")
WRITES: Final = ("put", "put_many", "drop", "claim", "count")


@dataclass
class Counted:
    """The turns that the requests of this thread make: reads, writes, and lines of the audit log."""

    thread: int = field(default_factory=threading.get_ident)
    turns: Counter[str] = field(default_factory=Counter)
    within: bool = False

    def wrap(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Give ``call``, turn_counter; what a turn makes of itself is no other turn."""

        def counting(*given: Any, **options: Any) -> Any:
            if threading.get_ident() != self.thread or self.within:
                return call(*given, **options)
            self.turns[kind] += 1
            self.within = True
            try:
                return call(*given, **options)
            finally:
                self.within = False

        return counting

    @contextmanager
    def expect(self, *expected: int) -> Iterator[None]:
        """Hold that so many reads, writes and lines are made within."""
        self.turns.clear()
        yield
        assert (self.turns["reads"], self.turns["writes"], self.turns["lines"]) == expected


@pytest.fixture
def turn_counter(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Return the count of every turn to the broker's store and audit log."""
    made = Counted()
    for kind, names in (("reads", READS), ("writes", WRITES)):
        for name in names:
            monkeypatch.setattr(EncryptedStore, name, made.wrap(kind, getattr(EncryptedStore, name)))
    monkeypatch.setattr(AuditFiles, "append", made.wrap("lines", AuditFiles.append))
    return made


@pytest.mark.parametrize("environment", [{"BROKER_SERVICES__MY-LOANS__METHODS": '["wayf"]'}])
def test_a_whole_login_is_seven_turns_and_one_line(deployment: Deployment, turn_counter: Counted) -> None:
    """Three requests of a known browser: the request of the service, the answer of the upstream, the assertion."""
    person = deployment.person()
    first = person.return_from_hub(person.ask().location, "asta")
    deployment.landing(person.agree(first, remember=True))
    with turn_counter.expect(4, 3, 1):
        arrived = person.deliver_answer(person.ask().location, "asta")
        page = person.get(arrived.location)
    deployment.landing(page)
