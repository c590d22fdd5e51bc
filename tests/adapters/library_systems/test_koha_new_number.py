"""A CPR number that takes the place of another on a Koha patron: wherever the former stands, and nowhere else."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from broker.adapters.library_systems.koha import Koha
from broker.core.borrowers.change_plan import Change
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.demo.koha.simulated_koha import Simulation

pytestmark = pytest.mark.server

OLD, NEW = "0101800000", "0202810000"
Soon = Callable[..., datetime]
Opened = Callable[..., Koha]


def _known(koha: Simulation, **more: object) -> str:
    body = {"surname": "Nyborg", "library_id": "AUL", "category_id": "STUDENT", "userid": OLD, "cardnumber": OLD}
    attributes = [{"type": "CPR", "value": f"{OLD[:6]}-{OLD[6:]}"}]
    return str(koha.patrons.create({**body, "extended_attributes": attributes, **more})["patron_id"])


def _shown(koha: Simulation, number: str) -> dict[str, Any]:
    row = koha.patrons.row(int(number))
    kinds = [each["value"] for each in row["extended_attributes"]]
    return {"userid": row["userid"], "cardnumber": row["cardnumber"], "CPR": kinds}


def _change(number: str) -> Change:
    return Change(number, (), cpr=NEW, former_cpr=OLD)


@pytest.mark.parametrize(
    ("more", "settings", "expected"),
    [
        ({}, {}, {"userid": NEW, "cardnumber": NEW, "CPR": [NEW]}),
        ({"cardnumber": "T-1"}, {"card_number": "system"}, {"userid": NEW, "cardnumber": "T-1", "CPR": [NEW]}),
        ({}, {"card_number": "system"}, {"userid": NEW, "cardnumber": NEW, "CPR": [NEW]}),
        ({"extended_attributes": []}, {"cpr_attribute": ""}, {"userid": NEW, "cardnumber": NEW, "CPR": []}),
    ],
)
def test_the_new_number_stands_wherever_the_former_did(
    *,
    koha: Simulation,
    opened: Opened,
    soon: Soon,
    more: dict[str, object],
    settings: dict[str, object],
    expected: dict[str, object],
) -> None:
    """In any spelling of the staff's; the former one finds nobody any more, and a card of its own stays."""
    library, number = opened(**settings), _known(koha, **more)
    after = library.change(_change(number), soon())
    assert _shown(koha, number) == expected
    assert (after.number, after.cpr) == (number, NEW)
    assert (library.find(OLD, soon()), [each.number for each in library.find(NEW, soon())]) == ((), [number])


@pytest.mark.parametrize("lost", range(4))
@pytest.mark.parametrize("fault", ["lose_answer", "fail"])
def test_one_cut_short_is_made_whole_by_the_next(
    *, koha: Simulation, library: Koha, soon: Soon, fault: str, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the writes fails or loses its answer: a repetition ends with one number."""
    number, calls, call = _known(koha), iter(range(99)), library._calls.call

    def struck(asked: str, method: str, *given: Any, **more: Any) -> Any:
        if method != "GET" and next(calls) == lost:
            koha.faults.set({fault: 1})
        return call(asked, method, *given, **more)

    monkeypatch.setattr(library._calls, "call", struck)
    with pytest.raises(LibraryUnavailable):
        library.change(_change(number), soon())
    library.change(_change(number), soon())
    assert _shown(koha, number) == {"userid": NEW, "cardnumber": NEW, "CPR": [NEW]}


def test_a_third_number_is_never_overwritten(koha: Simulation, library: Koha, soon: Soon) -> None:
    """Nor is a number given that another patron has."""
    number = _known(koha, extended_attributes=[{"type": "CPR", "value": "0303820000"}])
    before = _shown(koha, number)
    with pytest.raises(LibraryRefused):
        library.change(_change(number), soon())
    assert _shown(koha, number) == before


def test_a_number_that_another_has_by_now_is_given_to_nobody(koha: Simulation, library: Koha, soon: Soon) -> None:
    """The database refuses its second holder, before the former number goes."""
    number = _known(koha)
    other = {"userid": NEW, "cardnumber": NEW, "extended_attributes": []}
    _known(koha, **other)
    with pytest.raises(LibraryUnavailable):
        library.change(_change(number), soon())
    assert _shown(koha, number)["userid"] == OLD
