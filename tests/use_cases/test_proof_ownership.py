"""Ownership of proofs: one person has it, until its end, and what moved is not left behind."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.identity.mailbox_proofs import ProofOwner, Proved
from broker.core.ports import Key
from broker.use_cases.proof_ownership import claim_ownership, keep_proof, mailbox_place, move_proofs
from broker.use_cases.records import Records

HOUR: Final = timedelta(hours=1)
INSTANT: Final = timedelta(microseconds=1)
PLACE: Final = Key("proof", "mark")
ANN, BO = ProofOwner("ann", "kaldemail"), ProofOwner("bo", "kaldemail")


def owner(world: Any, place: Key = PLACE) -> str | None:
    """Give the owner of what a place stands for."""
    record = Records(world.store, ProofOwner).get(place, world.now)
    return record.value.owner if record else None


def claims(world: Any, claim: ProofOwner) -> bool:
    """Claim for an hour."""
    return claim_ownership(world.store, PLACE, claim, world.now + HOUR, world.now)


def test_the_first_that_claims_has_it(world: Any) -> None:
    """Another is refused, and what they claimed stays the first's; the first may claim again."""
    assert claims(world, ANN)
    assert not claims(world, BO)
    assert owner(world) == "ann"
    assert claims(world, ANN)


def test_a_claim_ends_at_its_end(world: Any) -> None:
    """A moment before it nobody else has it, at it anybody; to claim again makes it last on."""
    assert claims(world, ANN)
    world.now += HOUR - INSTANT
    assert not claims(world, BO)
    world.now += INSTANT
    assert claims(world, BO)
    world.now += HOUR - INSTANT
    assert claims(world, BO)
    world.now += INSTANT
    assert not claims(world, ANN)


def proved(world: Any, address: str = "ann@auh.rm.dk", name: str = "kaldemail") -> Proved:
    """Give a proof that is good for an hour."""
    return Proved(name, address, world.now, world.now + HOUR)


def kept(world: Any, owner: str) -> dict[str, str]:
    """Give the addresses that somebody has proved, by proof."""
    records = Records(world.store, Proved).list("proof", owner, world.now)
    return {record.value.name: record.value.address for record in records}


def test_a_proof_takes_the_place_of_the_one_before(world: Any) -> None:
    """Of the same name and person, and of no other; it is gone at its own end."""
    keep_proof(world.store, proved(world), "ann", world.now)
    keep_proof(world.store, proved(world, name="mail"), "ann", world.now)
    world.now += HOUR - INSTANT
    keep_proof(world.store, proved(world, "ann@ps.rm.dk"), "ann", world.now)
    assert kept(world, "ann") == {"kaldemail": "ann@ps.rm.dk", "mail": "ann@auh.rm.dk"}
    assert kept(world, "bo") == {}
    world.now += INSTANT
    assert kept(world, "ann") == {"kaldemail": "ann@ps.rm.dk"}
    world.now += HOUR - INSTANT
    assert kept(world, "ann") == {}


@pytest.mark.parametrize("since", [None, 0, 1])
def test_a_proof_that_moved_is_not_left_behind(world: Any, since: int | None) -> None:
    """With the ownership of its mailbox; one of the new owner's own stays, and what is not theirs is left."""
    hmacs = world.ports.hmacs
    moved, own = proved(world), proved(world, "ann@ps.rm.dk", "mail")
    for proof in (moved, replace(own, address="old@ps.rm.dk")):
        keep_proof(world.store, proof, "old", world.now)
    keep_proof(world.store, own, "ann", world.now)
    place = mailbox_place(hmacs, replace(moved, address="ANN@auh.rm.dk"))
    assert claim_ownership(world.store, place, ProofOwner("old", "kaldemail"), moved.until, world.now)
    begun = None if since is None else world.now + since * INSTANT
    move_proofs(world.store, hmacs, "old", "ann", world.now, since=begun)
    if since:
        assert (kept(world, "ann"), owner(world, place)) == ({"mail": "ann@ps.rm.dk"}, "old")
        return
    assert kept(world, "ann") == {"kaldemail": "ann@auh.rm.dk", "mail": "ann@ps.rm.dk"}
    assert (kept(world, "old"), owner(world, place)) == ({}, "ann")
    assert not claim_ownership(world.store, place, BO, moved.until, world.now)


def test_the_mailbox_of_another_person_is_not_moved(world: Any) -> None:
    """Whoever proved it since has it."""
    keep_proof(world.store, proved(world), "old", world.now)
    place = mailbox_place(world.ports.hmacs, proved(world))
    assert claim_ownership(world.store, place, BO, world.now + HOUR, world.now)
    move_proofs(world.store, world.ports.hmacs, "old", "ann", world.now)
    assert owner(world, place) == "bo"
