"""The simulated Koha looks patrons up by an index, and finds whom a look at everybody finds."""

from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.koha.injected_faults import InjectedFaults
from broker.demo.koha.patron_search import holds
from broker.demo.koha.patrons import Patrons
from broker.demo.koha.refusals import Refused

TEXTS: Final = st.sampled_from(["a", "A", "å", "1", "\uff11", "a ", "b", "", "zz"])
SOME: Final = TEXTS | st.lists(TEXTS, max_size=2)
COLUMNS: Final = st.sampled_from(["cardnumber", "userid", "me.userid", "statistics_1", "surname"])
FIELDS: Final = st.dictionaries(COLUMNS, SOME, max_size=2)
ATTRIBUTES: Final = st.fixed_dictionaries(
    {"extended_attributes.code": st.just("CPR"), "extended_attributes.value": SOME}
)
QUERIES: Final = st.recursive(
    FIELDS | ATTRIBUTES,
    lambda part: st.lists(part, max_size=2) | st.fixed_dictionaries({"-or": st.lists(part, max_size=2)}),
    max_leaves=4,
)
STEPS: Final = st.lists(
    st.tuples(st.sampled_from(["create", "change", "drop", "attribute"]), st.integers(1, 4), TEXTS, TEXTS), max_size=12
)


def step(patrons: Patrons, what: str, number: int, one: str, other: str) -> None:
    """Do one thing to a patron; what Koha refuses is not done."""
    body: dict[str, Any] = {"surname": one, "library_id": "AUL", "category_id": "STUDENT", "cardnumber": other or None}
    try:
        if what == "create":
            patrons.create({**body, "statistics_1": one, "extended_attributes": [{"type": "CPR", "value": other}]})
        elif what == "change":
            patrons.change(number, {**body, "statistics_1": other})
        elif what == "drop":
            patrons.drop(number)
        else:
            patrons.add_attribute(number, "CPR", one)
    except Refused:
        pass


@given(steps=STEPS, query=QUERIES)
def test_an_index_finds_whom_a_look_at_everybody_finds(steps: list[tuple[str, int, str, str]], query: Any) -> None:
    """Whatever was made, changed and deleted before, and whatever is asked for."""
    patrons = Patrons(FOUR_DIGIT_PINS, InjectedFaults())
    for each in steps:
        step(patrons, *each)
    asked = [query]
    found, everybody = (
        [row for row in rows if all(holds(each, row, embedded=True) for each in asked)]
        for rows in (patrons.candidates(asked), patrons.rows())
    )
    assert found == everybody
