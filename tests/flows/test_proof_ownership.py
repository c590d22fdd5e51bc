"""Ownership of proofs: one person has it, until its end, and what moved is not left behind."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from broker.core.identity.mailbox_proofs import ProofOwner, Proved
from broker.core.ports import Key
from broker.flows.proof_ownership import claim_ownership, drop_replaced_proofs, keep_proof
from broker.flows.records import Records

HOUR: Final = timedelta(hours=1)
INSTANT: Final = timedelta(microseconds=1)
PLACE: Final = Key("proof", "mark")
ANN, BO = ProofOwner("ann", "kaldemail"), ProofOwner("bo", "kaldemail")


def owner(world: Any, place: Key = PLACE) -> str | None:
    """Give the owner of what a place stands for."""
    record = Records(world.store, ProofOwner).get(place, world.now)
    return record.value.owner if record else None


def claims(world: Any, claim: ProofOwner, *mine: str) -> bool:
    """Claim for an hour."""
    return claim_ownership(world.store, PLACE, claim, world.now + HOUR, world.now, mine=mine)


def test_the_first_that_claims_has_it(world: Any) -> None:
    """Another is refused, and what they claimed stays the first's; the first may claim again."""
    assert claims(world, ANN)
    assert not claims(world, BO)
    assert owner(world) == "ann"
    assert claims(world, ANN)


def test_a_claim_moves_among_the_pseudonyms_of_one_person_only(world: Any) -> None:
    """From one of theirs to the one that is claimed for, and no stranger names it as theirs."""
    assert claims(world, ANN)
    assert not claims(world, BO, "carl")
    assert claims(world, replace(ANN, owner="ann's cpr"), "ann", "ann's cprUuid")
    assert owner(world) == "ann's cpr"
    assert not claims(world, ANN)


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


def test_a_proof_that_moved_is_not_left_behind(world: Any) -> None:
    """Of the same mailbox, however spelt; another mailbox, another proof and another person keep theirs."""
    for name, address, whose in (
        ("kaldemail", "ANN@auh.rm.dk", "ann's eppn"),
        ("mail", "ann@auh.rm.dk", "ann's eppn"),
        ("kaldemail", "ann@ps.rm.dk", "ann's cprUuid"),
        ("kaldemail", "ann@auh.rm.dk", "bo"),
    ):
        keep_proof(world.store, proved(world, address, name), whose, world.now)
    drop_replaced_proofs(world.store, proved(world), ("nobody", "ann's eppn", "ann's cprUuid"), world.now)
    assert kept(world, "ann's eppn") == {"mail": "ann@auh.rm.dk"}
    assert kept(world, "ann's cprUuid") == {"kaldemail": "ann@ps.rm.dk"}
    assert kept(world, "bo") == {"kaldemail": "ann@auh.rm.dk"}
