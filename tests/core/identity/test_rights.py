"""The table of rights."""

import pytest

from broker.core.identity.rights import Ground, Right, find_ground_without_cpr, has_right, has_usable_cpr

EVERYTHING = frozenset(Right)
BORROWER = frozenset({Right.USE_BORROWER, Right.WITHDRAW_CONSENT})


@pytest.mark.parametrize(
    ("ground", "rights"),
    [
        (Ground.NATIONAL_EID, EVERYTHING),
        (Ground.INSTITUTION, EVERYTHING),
        (Ground.ALUMNI, BORROWER | {Right.LOWER_CATEGORY}),
        (Ground.LIBRARY_ACCOUNT, BORROWER),
        (Ground.IDENTIFIER, {Right.MANAGE_STORED_DATA, Right.WITHDRAW_CONSENT}),
        (Ground.NOTHING, {Right.WITHDRAW_CONSENT}),
    ],
)
def test_the_table_of_rights(ground: Ground, rights: frozenset[Right]) -> None:
    """It is the table of section 5 of the design, by proof of identity."""
    assert {right for right in Right if has_right(ground, right)} == rights
    assert has_usable_cpr(ground) is has_right(ground, Right.LOWER_CATEGORY)


@pytest.mark.parametrize(
    ("names", "local", "persistent", "ground"),
    [
        ({"subject-id"}, False, False, Ground.IDENTIFIER),
        ({"pairwise-id"}, False, False, Ground.IDENTIFIER),
        ({"cprUuid"}, False, False, Ground.IDENTIFIER),
        (set(), False, True, Ground.IDENTIFIER),
        ({"eduPersonPrincipalName", "mail", "cn"}, False, False, Ground.NOTHING),
        (set(), False, False, Ground.NOTHING),
        ({"borrower_category"}, True, True, Ground.LIBRARY_ACCOUNT),
    ],
)
def test_an_identifier_that_may_be_reassigned_gives_no_rights(
    names: set[str], local: bool, persistent: bool, ground: Ground
) -> None:
    """Institutions may give an eduPersonPrincipalName to somebody else."""
    assert find_ground_without_cpr(names, is_library_account=local, has_persistent_name_id=persistent) is ground
