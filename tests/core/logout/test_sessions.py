"""Sessions are recognised by upstream, index, and NameID as a peer writes it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from broker.core.entities import UNSPECIFIED, Text, Upstream
from broker.core.logout.sessions import NameID, Session, session_index

NOW: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
WAYF: Final = Upstream("wayf", "wayf", "https://wayf.example", "https://broker.example", "wayf", Text("x", "x"))
SESSION: Final = Session(
    id="s",
    service="my-loans",
    entity_id="https://loans.example",
    name_id=NameID("n"),
    index="_i",
    browser="b",
    person="p",
    transaction="t",
    upstream="wayf",
    at=NOW,
    until=NOW,
    issuer="https://wayf.example",
)


@pytest.mark.parametrize(
    ("upstream", "issuer", "given"),
    [
        ("wayf", "https://wayf.example", True),
        ("wayf", None, True),  # written before the issuer was kept
        ("wayf", "https://old-wayf.example", False),
        ("nemid", "https://wayf.example", False),
        ("nemid", None, False),
    ],
)
def test_a_session_is_of_the_upstream_that_gave_it(upstream: str, issuer: str | None, given: bool) -> None:
    """Name and entity ID must fit: a new upstream of the same name ends no older session."""
    assert replace(SESSION, upstream=upstream, issuer=issuer).is_from(WAYF) is given


def test_a_session_index_is_of_one_assertion_and_does_not_tell_it() -> None:
    """The same each time, another for another assertion, an NCName without the assertion's id in it."""
    index = session_index("_a1b2c3")
    assert index == session_index("_a1b2c3")
    assert index != session_index("_a1b2c4")
    assert index[0] == "_"
    assert len(index) == 41
    assert "a1b2c3" not in index


@pytest.mark.parametrize(
    ("written", "issued", "same"),
    [
        (None, None, True),
        (None, "f", True),
        (UNSPECIFIED, "f", True),
        (UNSPECIFIED, None, True),
        ("f", None, False),
        ("f", UNSPECIFIED, False),
        (None, UNSPECIFIED, True),
        ("f", "f", True),
    ],
)
def test_a_format_left_out_is_unspecified(written: str | None, issued: str | None, same: bool) -> None:
    """Which fits any that was issued (saml-core 8.3.1); a format that is named must be the one that was issued."""
    assert NameID("n", written).is_same_as(NameID("n", issued)) is same
    assert not NameID("N", written).is_same_as(NameID("n", issued))


@pytest.mark.parametrize("part", ["name_qualifier", "sp_name_qualifier", "sp_provided_id"])
@pytest.mark.parametrize(
    ("written", "issued", "same"), [(None, None, True), (None, "q", True), ("q", "q", True), ("q", None, False)]
)
def test_a_qualifier_counts_where_it_is_written(part: str, written: str | None, issued: str | None, same: bool) -> None:
    """Left out it is implied; written it must be the one that was issued, and not where none was."""
    peers: dict[str, Any] = {part: written}
    ours: dict[str, Any] = {part: issued}
    assert NameID("n", **peers).is_same_as(NameID("n", **ours)) is same
