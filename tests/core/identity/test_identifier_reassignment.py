"""What of a login speaks for another holder of a name, and what of it is remembered."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from broker.core.identity.identifier_reassignment import Asserted, PersonLink, contradicts, with_evidence
from broker.core.serialization import dump, load

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
BARE = PersonLink("p", None, None, NOW)
OF_CPR = PersonLink("p", "7", "cpr", NOW)
UUID, OTHER = Asserted(uuid="u1", sure=True), Asserted(uuid="u2", sure=True)
WEAK = replace(UUID, sure=False)


@pytest.mark.parametrize("link", [BARE, OF_CPR], ids=["without a CPR", "of a CPR"])
@pytest.mark.parametrize(
    ("known", "asserted", "speaks"),
    [
        (None, UUID, False),
        ("u1", UUID, False),
        ("u1", OTHER, True),
        ("u1", replace(OTHER, sure=False), True),
        ("u1", Asserted("cpr"), False),
        ("u1", Asserted("cpr", uuid="u2"), True),
        ("u1", None, False),
    ],
)
def test_another_cpr_uuid_speaks_against_a_link(
    link: PersonLink, known: str | None, asserted: Asserted | None, *, speaks: bool
) -> None:
    """However weakly it was asserted, and whatever number came with it; none says nothing."""
    assert contradicts(replace(link, uuid=known), asserted) == speaks


@pytest.mark.parametrize(
    ("link", "asserted", "learned"),
    [
        (BARE, UUID, "u1"),
        (BARE, WEAK, "u1"),
        (OF_CPR, UUID, "u1"),
        (OF_CPR, WEAK, None),
        (replace(OF_CPR, uuid="u1"), Asserted("cpr"), "u1"),
        (replace(OF_CPR, uuid="u1"), None, "u1"),
    ],
)
def test_a_link_learns_a_cpr_uuid(link: PersonLink, asserted: Asserted | None, learned: str | None) -> None:
    """One that leads to a CPR's borrower only of who may be found by it."""
    assert with_evidence(link, asserted).uuid == learned


def test_a_cpr_uuid_alone_changes_nothing_that_a_number_said() -> None:
    """What the number was that came last is remembered still."""
    link = replace(BARE, asserted="cpr", born="day")
    assert with_evidence(link, UUID) == replace(link, uuid="u1")


def test_a_link_of_before_there_were_cpr_uuids_in_links_still_reads() -> None:
    """A record without the field is a link that has learned none yet."""
    old = dump(OF_CPR).replace(b',"uuid":null', b"")
    assert b"uuid" not in old
    assert load(PersonLink, old) == OF_CPR
