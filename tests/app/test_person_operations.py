"""A person is found by any one thing, shown everything, and forgotten: kind by kind, whatever dies on the way."""

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from broker.adapters.stores.sqlite import SqliteStore
from broker.app import audit_operations, person_operations, person_page, person_report
from broker.app.assembly import Parts, assemble, now
from broker.app.forgetting_upkeep import ForgettingUpkeep
from broker.app.person_operations import NamedPerson, NoPerson
from broker.app.tombstone_file import StateTombstones
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.library_capabilities import LibraryCapability
from broker.core.identity.person_id import compute_person_id_of_borrower, compute_person_ids_of_identifier
from broker.core.logout.single_logout import Logout
from broker.core.ports import Kept, Key, lease_of
from broker.core.retention import table
from broker.demo.run.demo_folder import Setting
from broker.files.settings.config import load
from broker.use_cases.consents.receipts import Receipts
from broker.use_cases.logout.sessions import Sessions
from broker.use_cases.mail_outbox import QueuedMail
from broker.use_cases.person_records import person_key
from broker.use_cases.persons.forgetting import StillCarriedOut
from broker.use_cases.records import Records
from broker.use_cases.transactions import Transactions
from tests.plugins.lived import (
    ASTA,
    AU,
    GONE_SERVICE,
    KARLA,
    Life,
    keys,
    put_back,
    records_of,
    rows_of,
    stay,
    store_file,
)
from tests.plugins.lying_files import lying_files
from tests.plugins.redis_server import RedisServer

_ROWS: Final = "SELECT kind, grp, name, value FROM record"
CHANGED: Final = "1403044012"

# What can hold nothing of a person's, or what of it stays: every other row is found and gone.
NOBODYS: Final = frozenset(
    {
        table.TRANSACTION_BEGUN,
        table.LEASE,
        table.TURN,
        table.SETUP,
        table.FIGURES,
        table.TRAIL_ANCHOR,
        table.PERSON_KEYS,
        table.FORGETTING,
        table.FORGOTTEN,
        # of the administrators who changed them, named by themselves: they are no borrowers
        # and of staff at work, for a quarter of an hour
        *(row for row in table.TABLE if row.kind in {"policy", "staff"}),
    }
)
# An index entry goes with the record that it leads to.
STAYS: Final = frozenset({table.ENDED, table.INDEX, table.CODE, table.CODES_ENDED, table.PIN_LINK})
# Found as another row of the same record, or by a search of its own.
OTHERWISE: Final = frozenset(
    {
        table.TRANSACTION_LEFT_ALONE,
        table.TRANSACTION_DONE,
        table.KNOWN_BROWSER,
        table.MAIL_SENT,
        table.LIMIT,
        table.DECLINED,
        table.TRAIL_KEY,
    }
)


LASTING: Final = frozenset({"person", "receipt", "proof", "session"})


class Killed(BaseException):
    """The process dies."""


def names_staying(parts: Parts) -> set[str]:
    """Give the names that what stays is kept under, and the person ids, which the tombstone keeps."""
    account = compute_person_id_of_borrower(parts.keys.index, ASTA.number)
    return {key.group for key in stay(parts)} | {Life(parts, ASTA).id, account}


def octets(parts: Parts) -> bytes:
    """Give everything that lies in the files of the store."""
    return b"".join(path.read_bytes() for path in sorted(store_file(parts).parent.glob("broker.db*")))


@pytest.mark.parametrize(
    "named", [{"typed": ASTA.cpr}, {"typed": f"{ASTA.cpr[:6]}-{ASTA.cpr[6:]}"}, {"borrower": ASTA.number}]
)
def test_any_one_thing_leads_to_everything(lived_parts: Parts, named: dict[str, str]) -> None:
    """CPR number or borrower number; the library account of the borrower belongs to the person."""
    desk = person_operations.desk(lived_parts)
    person = desk.found(NamedPerson(**named))
    account = compute_person_id_of_borrower(lived_parts.keys.index, ASTA.number)
    assert (person.ids, person.numbers) == ((Life(lived_parts, ASTA).id, account), (ASTA.number,))
    assert {each.key for each in desk.records.of(person, now())} == {
        each.key for each in desk.records.of(desk.found(NamedPerson(ASTA.cpr)), now())
    }


@pytest.mark.parametrize("named", [{"typed": "1111116666"}, {"typed": "nobody@au.dk"}, {"borrower": "1"}])
def test_what_leads_nowhere_is_told_without_being_quoted(lived_parts: Parts, named: dict[str, str]) -> None:
    """What was typed by mistake may be a person's number."""
    with pytest.raises(NoPerson) as told:
        person_operations.desk(lived_parts).found(NamedPerson(**named))
    assert next(iter(named.values())) not in str(told.value)


def login_by(parts: Parts, institution: str, eppn: str = "guest@au.dk") -> str:
    """Leave the consent of somebody without a CPR number; give the person id."""
    index = parts.keys.index
    id_ = compute_person_ids_of_identifier(index, "wayf", institution, eppn)[-1]
    receipts = Receipts(parts.store)
    asta = receipts.history(index.of("receipts", Life(parts, ASTA).id, "my-loans"), now())[0]
    receipts.file(index.of("receipts", id_, "my-loans"), replace(asta, record_id=f"r-{institution}"), now())
    return id_


def test_an_identifier_leads_to_a_person_without_a_number(lived_parts: Parts) -> None:
    """Capitals make no difference; nothing of anybody else's is found."""
    id_ = login_by(lived_parts, AU)
    desk = person_operations.desk(lived_parts)
    guest = desk.found(NamedPerson("Guest@AU.dk"))
    assert (guest.ids, guest.numbers) == ((id_,), ())
    assert {each.key.kind for each in desk.records.of(guest, now())} == {"receipt"}


def test_an_identifier_that_two_institutions_assert_leads_to_neither_person(lived_parts: Parts) -> None:
    """What is kept of the one is not shown to the other, who asks for it."""
    first, second, *_ = (each.entity_id for each in lived_parts.federated["wayf"].institutions)
    for institution in (first, second):
        login_by(lived_parts, institution, "same-value")
    with pytest.raises(NoPerson, match="may be two people"):
        person_operations.desk(lived_parts).found(NamedPerson("same-value"))


@dataclass(frozen=True)
class GivenAway:
    """A library system in which one record is another person's than it was."""

    number: str
    cpr: str
    capabilities: frozenset[LibraryCapability] = frozenset(LibraryCapability)

    def read(self, number: str, _: datetime) -> Borrower:
        """Give the record as it is now."""
        return Borrower(number, "STUD", cpr=self.cpr if number == self.number else None)

    def find(self, *_: object) -> tuple[Borrower, ...]:
        """Find none."""
        return ()


def test_a_record_that_staff_gave_away_is_no_longer_the_first_one_s(lived_parts: Parts) -> None:
    """Nobody has logged in by it yet, but the library system says whose it is: its PINs and events are the other's."""
    parts = replace(lived_parts, library=GivenAway(ASTA.number, KARLA.cpr))  # type: ignore[arg-type]
    desk = person_operations.desk(parts)
    asta = desk.found(NamedPerson(ASTA.cpr))
    account = compute_person_id_of_borrower(parts.keys.index, ASTA.number)
    assert (asta.numbers, account in asta.ids) == ((), False)
    records = desk.records.of(asta, now())
    assert not any(isinstance(each.fact, QueuedMail) for each in records)
    assert "pin_chosen" not in {event["event"] for event in desk.search.trail.events(asta.trail, now())}
    assert desk.of_login(Life(parts, ASTA).id).numbers == ()
    with pytest.raises(NoPerson, match="may be two people"):
        desk.found(NamedPerson(borrower=ASTA.number))
    assert desk.found(NamedPerson(KARLA.cpr)).numbers == (KARLA.number,)


def test_a_login_on_the_same_page_is_of_whoever_logged_in_last(lived_parts: Parts) -> None:
    """Asta's page, on which Karla has logged in since, is Karla's: Asta is shown none of what Karla brought."""
    transactions = Transactions(lived_parts.store)
    hers = transactions.read(f"tx-{KARLA.number}", now())
    assert transactions.put(replace(hers.transaction, reference=ASTA.reference), hers.version, now())
    desk = person_operations.desk(lived_parts)
    found = desk.records.of(desk.found(NamedPerson(ASTA.cpr)), now())
    assert hers.transaction.id not in {each.key.group for each in found}
    assert hers.transaction.id in {
        each.key.group for each in desk.records.of(desk.found(NamedPerson(KARLA.cpr)), now())
    }


def test_the_next_holder_of_a_name_who_was_refused_is_not_the_last(lived_parts: Parts) -> None:
    """They came by Asta's name with a number of their own, and no policy let them in: the name still leads to hers."""
    transactions = Transactions(lived_parts.store)
    denied = transactions.read(f"tx-{KARLA.number}-denied", now())
    answer = denied.transaction.authentication
    assert answer
    wire = tuple(
        replace(each, values=(ASTA.eppn,)) if KARLA.eppn in each.values else each for each in answer.attributes
    )
    by_her_name = replace(denied.transaction, authentication=replace(answer, attributes=wire))
    assert transactions.put(by_her_name, denied.version, now())
    desk = person_operations.desk(lived_parts)
    found = desk.records.of(desk.found(NamedPerson(ASTA.cpr)), now())
    assert denied.transaction.id not in {each.key.group for each in found}
    assert {f"tx-{ASTA.number}", f"tx-{ASTA.number}-denied"} <= {each.key.group for each in found}


@pytest.mark.parametrize(("told", "instead"), [("2", "1"), ("student@au.dk", "affiliate@au.dk")])
def test_a_number_that_a_stranger_has_typed_makes_nothing_its_holder_s(
    lived_parts: Parts, told: str, instead: str
) -> None:
    """They were refused by it, self-asserted or an affiliate alone: Asta is shown nothing of theirs, and drops none."""
    transactions = Transactions(lived_parts.store)
    denied = transactions.read(f"tx-{ASTA.number}-denied", now())
    answer = denied.transaction.authentication
    assert answer
    others = {ASTA.eppn: "stranger@au.dk", told: instead}
    wire = tuple(
        replace(each, values=tuple(others.get(value, value) for value in each.values)) for each in answer.attributes
    )
    typed = replace(denied.transaction, authentication=replace(answer, attributes=wire))
    assert transactions.put(typed, denied.version, now())
    desk = person_operations.desk(lived_parts)
    found = desk.records.of(desk.found(NamedPerson(ASTA.cpr)), now())
    assert f"tx-{ASTA.number}" in {each.key.group for each in found}
    assert denied.transaction.id not in {each.key.group for each in found}


def test_of_a_logout_of_two_people_each_is_shown_their_own(lived_parts: Parts) -> None:
    """One browser was used by both: the other's id is in no export."""
    logouts = Records(lived_parts.store, Logout)
    kept = logouts.get(Key("logout", f"logout-{ASTA.number}"), now())
    assert kept
    karla = Life(lived_parts, KARLA).id
    both = replace(kept.value, groups=(*kept.value.groups, (f"browser-{ASTA.number}", karla)))
    assert logouts.replace(kept, both, now())
    desk = person_operations.desk(lived_parts)
    report = person_report.report(desk, desk.found(NamedPerson(ASTA.cpr)))
    assert "logout" in {each["kind"] for each in report["kept"]}
    assert karla not in json.dumps(report)


def test_every_row_of_the_table_is_found(lived_parts: Parts) -> None:
    """A kind that is added is looked through, or said to be nobody's: no row is forgotten to be forgotten."""
    desk = person_operations.desk(lived_parts)
    rows = {each.row for each in desk.records.of(desk.found(NamedPerson(ASTA.cpr)), now())}
    assert rows == set(table.TABLE) - NOBODYS - STAYS - OTHERWISE
    kinds = {key.kind for key in records_of(desk, ASTA)}
    assert kinds == {row.kind for row in set(table.TABLE) - NOBODYS - STAYS}


def test_what_is_forgotten_is_the_persons_and_nobody_elses(lived_parts: Parts) -> None:
    """Of every record, counter and key of theirs only the spent arrival is left; the other person keeps all."""
    desk = person_operations.desk(lived_parts)
    mine, theirs = records_of(desk, ASTA), records_of(desk, KARLA)
    before = octets_of(lived_parts, mine)
    assert len(mine) > 20
    indexes = {key for key in keys(lived_parts) if key.kind == "index"}
    outcome = person_operations.forgotten(desk, desk.found(NamedPerson(ASTA.cpr), [GONE_SERVICE]))
    assert outcome.pending == ()
    assert {key.kind for key in mine & keys(lived_parts)} == {"arrival"}
    assert mine & keys(lived_parts) <= stay(lived_parts)
    assert records_of(desk, KARLA) == theirs
    with pytest.raises(NoPerson):
        desk.found(NamedPerson(ASTA.cpr))
    assert audit_operations.verified(lived_parts).findings == []
    assert {key.kind for key in keys(lived_parts) - theirs} <= {
        "arrival",
        "ended",
        "index",
        "code",
        "forgotten",
        "audit-anchor",
    }
    assert len(indexes & keys(lived_parts)) == len(indexes) // 2
    left = octets(lived_parts)
    assert [each for each in before if each in left] == []


def octets_of(parts: Parts, noted: Iterable[Key]) -> list[bytes]:
    """Give the ciphertexts and names of records that lie in the store's files now; not the names of what stays."""
    with closing(sqlite3.connect(store_file(parts))) as connection:
        rows = {(kind, group, name): value for kind, group, name, value in connection.execute(_ROWS)}
    found = [rows[key] for key in noted if key in rows]
    found += [key.group.encode() for key in noted if key.group not in names_staying(parts)]
    lying = octets(parts)
    assert all(each in lying for each in found)
    return found


@pytest.mark.server
def test_the_same_over_redis(setting: Setting, tmp_path: Path, redis_server: RedisServer, redis_url: str) -> None:
    """By the person's own way through the store: its append-only file and its snapshot hold nothing of them."""
    environ = {
        "BROKER_STORE__URL": redis_url,
        "BROKER_AUDIT__FOLDER": f"{tmp_path / 'audit'}",
        "BROKER_STATE": str(tmp_path / "state"),
    }
    parts = assemble(load(setting.config, environ))
    for who in (ASTA, KARLA):
        Life(parts, who).lived()
    desk = person_operations.desk(parts)
    mine, theirs = records_of(desk, ASTA), records_of(desk, KARLA)
    names = [key.group.encode() for key in mine if key.group not in names_staying(parts)]
    lying = lying_in(redis_server.folder)
    assert all(each in lying for each in names)
    assert person_operations.forgotten(desk, desk.found(NamedPerson(ASTA.cpr))).pending == ()
    assert mine & keys(parts) <= stay(parts)
    assert records_of(desk, KARLA) == theirs
    until = time.monotonic() + 60
    while any(each in lying for each in names):
        assert time.monotonic() < until
        time.sleep(0.02)  # the old file is unlinked by a thread of the server's
        lying = lying_in(redis_server.folder)


def lying_in(folder: Path) -> bytes:
    """Give everything that lies in the files of a Redis."""
    return b"".join(octets for path, octets in lying_files(folder) if path.name != "log")


def test_what_comes_while_a_person_is_forgotten_goes_too(lived_parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that had been read before the person was forgotten answers after it."""
    desk = person_operations.desk(lived_parts)
    group = lived_parts.keys.index.of("receipts", Life(lived_parts, ASTA).id, "my-loans")
    late = replace(Receipts(lived_parts.store).history(group, now())[0], record_id="r-late")
    drop = SqliteStore.drop

    def meanwhile(store: SqliteStore, key: Key) -> None:
        drop(store, key)
        if key.kind == "receipt":
            Receipts(lived_parts.store).file(group, late, now())
            monkeypatch.setattr(SqliteStore, "drop", drop)

    monkeypatch.setattr(SqliteStore, "drop", meanwhile)
    person_operations.forgotten(desk, desk.found(NamedPerson(ASTA.cpr)))
    assert Receipts(lived_parts.store).history(group, now()) == ()


def test_a_login_under_way_delivers_nothing_more(lived_parts: Parts) -> None:
    """It is marked as over before it is dropped, for a request that has read it already."""
    transaction = Transactions(lived_parts.store).read(f"tx-{ASTA.number}", now()).transaction
    desk = person_operations.desk(lived_parts)
    person_operations.forgotten(desk, desk.found(NamedPerson(ASTA.cpr)))
    assert Sessions(lived_parts.store, lived_parts.keys.index).over(transaction, now())


def test_a_worker_s_lease_is_waited_for(lived_parts: Parts) -> None:
    """What is being carried out comes to its end first; one that does not end leaves the order standing."""
    place = lease_of(person_key(Life(lived_parts, ASTA).id))
    assert lived_parts.store.put(place, Kept(b"", "theirs", now() + timedelta(minutes=9)), None, now())
    clock = [now()]
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        clock[0] += timedelta(seconds=30)

    desk = person_operations.desk(lived_parts)
    forgetting = replace(desk.forgetting, now=lambda: clock[0], pause=pause)
    with pytest.raises(StillCarriedOut, match="--resume"):
        forgetting.forget(desk.found(NamedPerson(ASTA.cpr)))
    assert len(waited) == 5
    forgetting.order(desk.found(NamedPerson(KARLA.cpr)), "zz")
    with pytest.raises(StillCarriedOut):
        forgetting.resume()
    with pytest.raises(NoPerson):
        desk.found(NamedPerson(KARLA.cpr))
    lived_parts.store.drop(place)
    assert forgetting.resume() == 1
    with pytest.raises(NoPerson):
        desk.found(NamedPerson(ASTA.cpr))


def test_who_comes_again_is_not_forgotten_again(lived_parts: Parts) -> None:
    """Their id is the same: what they have left since stays at the hourly look and after a backup, and the old goes."""
    desk = person_operations.desk(lived_parts)
    backup = rows_of(lived_parts)
    person_operations.forgotten(desk, desk.found(NamedPerson(ASTA.cpr)))
    again = replace(ASTA, number="4719", reference="VWXZ2345")
    Life(lived_parts, again).lived()
    lasting = {key for key in records_of(desk, again) if key.kind in LASTING and (key.kind, key.name) != ("proof", "")}
    assert {key.kind for key in lasting} == LASTING
    assert not ForgettingUpkeep(lived_parts).step()
    person_operations.ended(desk, everything=True)
    assert lasting <= records_of(desk, again)
    put_back(lived_parts, backup)
    Life(lived_parts, again).answer()
    person_operations.ended(desk, everything=True)
    kept = {key.kind for key in records_of(desk, again)}
    assert "receipt" in kept
    assert kept.isdisjoint({"person", "proof"})


def dying(monkeypatch: pytest.MonkeyPatch, after: int) -> list[int]:
    """Let the process die at a change of the store or of the tombstones; count how many there were."""
    made = [0]

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **more: Any) -> Any:
            made[0] += 1
            if made[0] == after:
                raise Killed
            return change(*args, **more)

        return run

    for name in ("put", "put_many", "drop", "sweep", "purge"):
        monkeypatch.setattr(SqliteStore, name, counted(getattr(SqliteStore, name)))
    monkeypatch.setattr(StateTombstones, "add", counted(StateTombstones.add))
    return made


def killed_and_resumed(parts: Parts, after: int) -> bool:
    """Forget a person, die at a change, and have broker work end it; False where there are no so many changes."""
    desk = person_operations.desk(parts)
    mine, theirs = records_of(desk, ASTA), records_of(desk, KARLA)
    noted = octets_of(parts, mine)
    person = desk.found(NamedPerson(ASTA.cpr))
    died = False
    with pytest.MonkeyPatch.context() as patch:
        dying(patch, after)
        try:
            person_operations.forgotten(desk, person)
        except Killed:
            died = True
    ForgettingUpkeep(parts).step()
    parts.store.purge()
    if keys(parts) >= mine - {key for key in mine if key.kind == "counter"}:
        assert after == 1  # before the order stood: nothing has begun, and the command is given again
        return died
    assert mine & keys(parts) <= stay(parts)
    assert records_of(desk, KARLA) == theirs
    left = octets(parts)
    assert [each for each in noted if each in left] == []
    return died


@pytest.mark.parametrize("after", [1, 2, 3, 20, 40, 60])
def test_whoever_dies_over_it_is_followed_by_one_who_ends_it(lived_parts: Parts, after: int) -> None:
    """At the order, at the tombstone, over a counter, a session, what points at it, a lease, a receipt."""
    assert killed_and_resumed(lived_parts, after)


@pytest.mark.slow(seconds=20)
def test_a_death_at_every_change_is_followed_by_the_end(lived_parts: Parts) -> None:
    """From the first change to the last of all: there are no more than the test tries."""
    backup = rows_of(lived_parts)
    after = 1
    while killed_and_resumed(lived_parts, after):
        put_back(lived_parts, backup)
        (lived_parts.config.state / "forgotten.jsonl").unlink(missing_ok=True)
        after += 1
    assert after > 60


def test_the_report_names_all_and_shows_no_secret(lived_parts: Parts) -> None:
    """What, why, how long, whence, to whom, what was refused; no CPR number, PIN or code."""
    desk = person_operations.desk(lived_parts)
    report = person_report.report(desk, desk.found(NamedPerson(ASTA.cpr)))
    told = json.dumps(report)
    assert {each["kind"] for each in report["kept"]} == {
        key.kind for key in records_of(desk, ASTA) if key.kind not in {"counter", "audit"}
    }
    assert all(each["why"] and each["how_long"] and each["until"] for each in report["kept"])
    assert [each["service"] for each in report["recipients"]] == ["my-loans", GONE_SERVICE]
    assert report["recipients"][0]["controller"]
    assert [each["reason"] for each in report["refusals"]] == ["too_young"]
    assert {AU, "the register of persons (CPR)"} <= set(report["sources"])
    assert ASTA.address in told
    assert not re.search(r"\b4071\b", told)  # the PIN, and no part of a random id
    for page in (told, person_page.as_text(report), person_page.as_html(report)):
        assert ASTA.cpr not in page
        assert KARLA.address not in page
