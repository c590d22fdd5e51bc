"""What release 1 stored is read and moved: ids, proofs with their owners, receipts, wishes and cases.

``records_of_release_1.tsv`` was written by its code: kind, group, name, due, end, record number and JSON of each.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.identity.mailbox_proofs import ProofOwner, Proved
from broker.core.ports import Kept, Key
from broker.use_cases.consents.receipts import Receipts
from broker.use_cases.records import WRITES, Records

RECORDS: Final = Path(__file__).with_name("records_of_release_1.tsv")
NOW: Final = datetime(2026, 11, 26, 12, 8, 4, tzinfo=UTC)
CPR, OTHER, EVES, OWED = "0101990000", "0202990000", "0303990000", "0404990000"
AASE_ID, TEMP_ID, BO_ID, EVE_ID = (f"{number:032x}" for number in (1, 5, 7, 8))
UUID: Final = "6f1c0000-0000-4000-8000-000000000001"


@pytest.fixture
def old(world: Any) -> Any:
    """Give a world with the records of release 1."""
    world.now = NOW
    for line in RECORDS.read_text().splitlines():
        kind: Any
        kind, group, name, due, until, octet, value = line.split("\t")
        kept = Kept(
            bytes.fromhex(octet) + value.encode(),
            "v",
            datetime.fromisoformat(until),
            None if due == "-" else datetime.fromisoformat(due),
        )
        assert world.store.put(Key(kind, group, name.strip("-")), kept, None, NOW)
    world.hooks.calls.clear()
    return world


def eppn(world: Any, name: str) -> str:
    """Give the pseudonym of a name of the university's."""
    pseudonym: str = world.links.of_name("eppn https://idp.au.example", f"{name}@au.example")
    return pseudonym


def proofs(world: Any, person: str) -> Mapping[str, str]:
    """Give the addresses that a person has proved, and who holds each."""
    owner = world.links.proofs_of(person)
    kept = Records(world.store, Proved).list("proof", owner, world.now)
    return {each.value.address: each.value.name for each in kept}


def holders(world: Any) -> set[str]:
    """Give the owners of all mailboxes."""
    owners = set()
    for key, kept in world.store.list("proof", None, world.now):
        if b'"owner"' in kept.value:
            claim = Records(world.store, ProofOwner).get(key, world.now)
            assert claim
            owners.add(claim.value.owner)
    return owners


def test_a_number_keeps_its_person_and_what_was_proved_under_it(old: Any) -> None:
    """The proof goes to the id, with the ownership of its mailbox, and is not left behind; so does the name's."""
    links, cpr, name = old.links, old.links.of_cpr(CPR), eppn(old, "aase")
    assert links.by_cpr(cpr, name).id == AASE_ID
    assert proofs(old, AASE_ID) == {"aase@ps.rm.dk": "kaldemail"}
    assert list(old.store.list("proof", cpr, NOW)) == list(old.store.list("proof", name, NOW)) == []
    assert holders(old) == {links.proofs_of(AASE_ID)}


def test_a_name_alone_is_no_longer_the_person_of_its_number(old: Any) -> None:
    """It has a new id, without a borrower and without proofs; the number takes none of it."""
    alone = old.links.by_name(eppn(old, "aase"))
    assert alone != AASE_ID
    assert proofs(old, alone) == {}
    assert old.links.by_name(eppn(old, "aase")) == alone
    assert old.links.by_cpr(old.links.of_cpr(CPR), eppn(old, "aase")).id == AASE_ID


def test_a_cpr_uuid_and_an_account_still_lead_to_the_number(old: Any) -> None:
    """And an account that no number came with keeps its own id."""
    links, cpr = old.links, old.links.of_cpr(CPR)
    assert links.cpr(links.of_name("cprUuid", UUID)) == links.cpr(links.of_borrower("1")) == cpr
    assert links.by_cpr(links.of_cpr(OTHER), uuid=links.of_name("cprUuid", UUID)) is None
    assert links.by_name(links.of_borrower("9")) == TEMP_ID


def test_what_an_earlier_holder_proved_is_nobodys(old: Any) -> None:
    """The name was given on, or claimed by two: the id stays, the proof does not come along."""
    assert old.links.by_name(eppn(old, "bo")) == BO_ID
    assert proofs(old, BO_ID) == {}
    assert old.links.by_cpr(old.links.of_cpr(EVES), eppn(old, "eve")).id == EVE_ID
    eve = old.links.by_name(eppn(old, "eve"))
    assert eve != EVE_ID
    assert proofs(old, EVE_ID) == proofs(old, eve) == {}


@pytest.mark.parametrize("write", [1, 2])
def test_a_move_that_died_midway_is_taken_up(old: Any, write: int) -> None:
    """The link is written last: until then the proofs are moved again."""

    def die(_name: str) -> None:
        if old.hooks.calls.count("put") == write:
            raise InterruptedError

    old.hooks.every = die
    with pytest.raises(InterruptedError):
        old.links.known_by_cpr(old.links.of_cpr(CPR))
    old.hooks.every = lambda _name: None
    assert old.links.known_by_cpr(old.links.of_cpr(CPR)) == AASE_ID
    assert proofs(old, AASE_ID) == {"aase@auh.rm.dk": "kaldemail"}
    assert old.links.proofs_of(AASE_ID) in holders(old)


def test_what_was_moved_is_not_moved_again(old: Any) -> None:
    """A link that was read is one of this release."""
    cpr = old.links.of_cpr(CPR)
    old.links.known_by_cpr(cpr)
    assert old.store.get(Key("link", cpr), NOW).value[0] == WRITES
    old.hooks.calls.clear()
    old.links.known_by_cpr(cpr)
    assert old.hooks.calls == []


def test_what_was_agreed_to_is_still_agreed_to(old: Any) -> None:
    """Receipts hang on the person's id, which the number keeps."""
    group = old.ports.hmacs.of("receipts", old.links.by_cpr(old.links.of_cpr(CPR)).id, "my-loans")
    (agreed,) = Receipts(old.store).on_file(group, NOW)
    assert agreed.material == "m"


def test_a_borrower_that_was_found_is_known(old: Any) -> None:
    """By the finished enrolment; the library is asked anew when its word is too old."""
    assert old.live.stored(CPR).number == "1"
    old.library.add(CPR, Borrower("1", "STUD", old.wish().expires, fields={"surname": "Prøvesen"}))
    assert old.known(old.wish()).number == "1"
    assert old.hooks.calls.count("find") == 1


def test_a_wish_by_a_name_alone_changes_nothing_and_its_pin_is_mailed(old: Any) -> None:
    """Nothing is lowered by it any more; what was owed is owed still."""
    made = old.library.add(OWED, Borrower("2", "STUD", old.wish().expires, mark=f"{10:032x}"))
    old.now = old.records.read(Key("enrolment", old.links.of_cpr(OWED))).due
    while old.live.step():
        pass
    enrolment = old.live.stored(OWED)
    assert (enrolment.state, enrolment.number, enrolment.pin_owed) == (EnrolmentState.DONE, "2", False)
    assert old.library.borrowers["2"] == made
    [mail] = old.post.sent
    assert (mail.to, mail.pin) == ("aase@example.org", old.library.pins["2"])


def test_a_dispute_is_listed_until_staff_end_it(old: Any) -> None:
    """There is nothing left to decide; nobody's number or id is touched by it."""
    [case] = [row for row in old.cases.rows() if row["state"] == "case"]
    assert case["reason"] == "cpr_changed"
    assert old.cases.retry(case["id"])
    assert [row for row in old.cases.rows() if row["state"] == "case"] == []
    assert old.links.by_cpr(old.links.of_cpr(EVES)).id == EVE_ID
