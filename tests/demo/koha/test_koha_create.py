"""POST /patrons of the simulated Koha.

Source: docs/reference/koha.md#create.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.demo.koha.database import patrons
from broker.demo.koha.simulated_koha import Simulation

CPR = "0101800000"
ANNA = {"surname": "Prøvesen", "firstname": "Åse", "library_id": "AUL", "category_id": "STUDENT"}


Ask = Callable[..., TestResponse]


def _together(ask: Ask, bodies: Sequence[Mapping[str, object]]) -> list[int]:
    start = Barrier(len(bodies))

    def post(body: Mapping[str, object]) -> int:
        start.wait()
        return ask("POST", "/patrons", {**ANNA, **body}).status_code

    with ThreadPoolExecutor(len(bodies)) as threads:
        return list(threads.map(post, bodies))


def test_the_unique_attribute_has_a_race(ask: Ask, koha: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """1.2: two concurrent creates both pass the check, so a CPR has two patrons. The fourth pair deadlocks."""
    koha.faults.race_window = 0.2
    both_have_looked = Barrier(2)
    windows: set[float] = set()
    outcomes = []

    def sleep(seconds: float) -> None:
        windows.add(seconds)
        both_have_looked.wait(60)

    monkeypatch.setattr(patrons, "time", SimpleNamespace(sleep=sleep))
    for number in range(4):
        attribute = [{"type": "CPR", "value": f"010180000{number}"}]
        pair = [
            {"cardnumber": f"{number}-{each}", "userid": f"{number}-{each}", "extended_attributes": attribute}
            for each in "ab"
        ]
        outcomes.append(sorted(_together(ask, pair)))
    assert outcomes == [[201, 201], [201, 201], [201, 201], [201, 500]]
    assert windows == {0.2}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"category_id": "X", "library_id": "X"}, "Given category_id does not exist"),
        ({"library_id": "X"}, "Given library_id does not exist"),
        ({"types": {}}, "Tried to use an invalid attribute type. type=CPR"),
        ({}, "Tried to use an invalid attribute type. type=NOSUCH"),
    ],
)
def test_a_dry_run_names_the_first_fault_and_writes_nothing(
    ask: Ask, koha: Simulation, wrong: dict[str, Any], named: str
) -> None:
    """A create with an impossible type is always rolled back: category, library and real types come before it."""
    body = dict(wrong)
    types = body.pop("types", koha.patrons.administration.attribute_types)
    koha.patrons.administration = replace(koha.patrons.administration, attribute_types=types)
    attributes = [{"type": "CPR", "value": CPR}, {"type": "NOSUCH", "value": "x"}]
    answer = ask("POST", "/patrons", {**ANNA, **body, "extended_attributes": attributes})
    assert (answer.status_code, answer.get_json()) == (400, {"error": named})
    assert koha.patrons.rows() == []
