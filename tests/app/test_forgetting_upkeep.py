"""Nothing that is due reaches whom a backup brought back: they are forgotten again first, and staff hear of doubts."""

from dataclasses import replace
from typing import Any

import pytest

from broker.adapters.stores.sqlite import SqliteStore
from broker.app import background_work, forgetting_upkeep, gunicorn_server, person_operations
from broker.app.assembly import Parts, now
from broker.app.forgetting_upkeep import ForgettingUpkeep
from broker.app.person_operations import NamedPerson, NoPerson
from broker.core.event_routes import EventKind
from broker.core.ports import Key
from broker.core.retention.table import FORGETTING
from broker.use_cases.persons.person_search import FoundPerson
from broker.use_cases.records import Records
from tests.plugins.lived import ASTA, KARLA, keys, put_back, records_of, rows_of, stay


def test_what_is_due_waits_until_a_backup_is_forgotten_again(lived_parts: Parts) -> None:
    """A request in the backup would make a borrower, and a mail would be sent: before the first look, and later."""
    desk = person_operations.desk(lived_parts)
    backup = rows_of(lived_parts)
    upkeep, of_another_machine = ForgettingUpkeep(lived_parts), ForgettingUpkeep(lived_parts)
    assert not upkeep.may_go_on()
    assert not upkeep.step()
    assert not of_another_machine.step()
    person_operations.forgotten(desk, desk.found(NamedPerson(ASTA.cpr)))
    assert upkeep.may_go_on()
    put_back(lived_parts, backup)
    assert not upkeep.may_go_on()
    gone: list[bool] = []
    drop = SqliteStore.drop

    def watched(store: SqliteStore, key: Key) -> None:
        if key.kind == "person":
            gone.extend((upkeep.may_go_on(), of_another_machine.may_go_on()))
        drop(store, key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteStore, "drop", watched)
        assert upkeep.step()
    assert (set(gone), upkeep.may_go_on()) == ({False}, True)


def test_before_anybody_is_served_a_backup_is_forgotten_again(lived_parts: Parts) -> None:
    """No login may be told of whom the backup brought back; where nothing was put back nothing is looked through."""
    desk = person_operations.desk(lived_parts)
    backup = rows_of(lived_parts)
    person_operations.forgotten(desk, desk.found(NamedPerson(ASTA.cpr)))
    put_back(lived_parts, backup)
    mend = "broker work does it when it begins, or broker person forget --restored"
    told = f"person: a backup was put back, 1 to be forgotten again: {mend}"
    assert forgetting_upkeep.findings(lived_parts) == (told,)
    forgetting_upkeep.repeat_first(lived_parts)
    with pytest.raises(NoPerson):
        desk.found(NamedPerson(ASTA.cpr))
    assert forgetting_upkeep.findings(lived_parts) == ()
    events: list[object] = []
    forgetting_upkeep.repeat_first(replace(lived_parts, tell=lambda event: events.append(event.kind)))
    assert events == []


def test_serving_begins_with_it_and_work_does_nothing_before(lived_parts: Parts) -> None:
    """What is checked before the first worker is forked forgets again; a step that is due is not made until then."""
    desk = person_operations.desk(lived_parts)
    backup = rows_of(lived_parts)
    person_operations.forgotten(desk, desk.found(NamedPerson(ASTA.cpr)))
    put_back(lived_parts, backup)
    made: list[str] = []
    upkeep = ForgettingUpkeep(lived_parts)
    loops = background_work.Loops(lived_parts)
    steps: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(background_work, "ForgettingUpkeep", lambda _: upkeep)
        patch.setattr(type(lived_parts.person_worker), "step", lambda _: made.append("enrolment"))
        patch.setattr(background_work.Loops, "_start", lambda _, name, these, *__: steps.append((name, these)))
        loops.start()
        enrol = next(these[0] for name, these in steps if name == "borrowers")
        enrol()
        assert made == []
        gunicorn_server._checked(lambda: lived_parts.config)
        with pytest.raises(NoPerson):
            desk.found(NamedPerson(ASTA.cpr))
        upkeep.step()
        enrol()
    assert made == ["enrolment"]


def test_an_order_that_is_due_is_carried_out_at_the_next_step(lived_parts: Parts) -> None:
    """One that a command is at is left to it until the hour is over."""
    desk = person_operations.desk(lived_parts)
    told: list[object] = []
    upkeep = ForgettingUpkeep(replace(lived_parts, tell=lambda event: told.append(event.kind)))
    upkeep.step()
    person = desk.found(NamedPerson(ASTA.cpr))
    orders, until = Records(lived_parts.store, FoundPerson), FORGETTING.until(now())
    orders.add(Key("forgetting", "theirs"), person, until, now())
    assert not upkeep.step()
    orders.add(Key("forgetting", "asked-for"), person, until, now(), due=now())
    assert upkeep.step()
    assert told == [EventKind.FORGOTTEN]
    with pytest.raises(NoPerson):
        desk.found(NamedPerson(ASTA.cpr))
    assert [key.group for key, _ in lived_parts.store.list("forgetting", None, now())] == ["theirs"]


def test_a_backup_that_is_put_back_is_forgotten_again(lived_parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """By broker work, which looks when it begins; the other person is as before."""
    desk = person_operations.desk(lived_parts)
    mine, theirs = records_of(desk, ASTA), records_of(desk, KARLA)
    backup = rows_of(lived_parts)
    person_operations.forgotten(desk, desk.found(NamedPerson(ASTA.cpr)))
    assert not ForgettingUpkeep(lived_parts).step()
    put_back(lived_parts, backup)
    assert mine <= keys(lived_parts) | {key for key in mine if key.kind == "counter"}
    told: list[tuple[object, object]] = []
    monkeypatch.setattr(type(lived_parts.store), "purge", lambda _: ("not allowed",))
    telling = replace(lived_parts, tell=lambda event: told.append((event.kind, dict(event.facts))))
    upkeep = ForgettingUpkeep(telling)
    assert (upkeep.step(), upkeep.step()) == (True, False)
    assert told == [(EventKind.FORGOTTEN_AGAIN, {"count": 1}), (EventKind.FORGET_PENDING, {"fault": "not allowed"})]
    assert mine & keys(lived_parts) <= stay(lived_parts)
    assert records_of(desk, KARLA) == theirs


def test_each_machine_has_the_tombstones_of_the_others(lived_parts: Parts) -> None:
    """A machine learns from the store whom another forgot: a store that is put back is forgotten by any of them."""
    desk = person_operations.desk(lived_parts)
    person_operations.forgotten(desk, desk.found(NamedPerson(ASTA.cpr)))
    path = lived_parts.config.state / "forgotten.jsonl"
    written = path.read_text()
    path.unlink()
    assert not ForgettingUpkeep(lived_parts).step()
    assert path.read_text() == written
    path.write_text(written[:40])  # cut short by a crash
    assert not ForgettingUpkeep(lived_parts).step()
    assert written.strip() in path.read_text()
