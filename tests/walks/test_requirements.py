"""The library's requirements on its sign-up, R01 to R47, each driven through the broker by the check of its number."""

import inspect
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from broker.demo.people.personas import PERSONAS
from tests.plugins.deployment import Deployment
from tests.walks.requirements import accounts, desk, hospital, no_number, pins, signing_up, ways
from tests.walks.requirements.visits import Seen, cpr, spellings_of_number, watch_broker

REQUIREMENTS: Final[Mapping[str, Callable[[Deployment], None]]] = {
    "R01": signing_up.r01,
    "R02": signing_up.r02,
    "R03": signing_up.r03,
    "R04": signing_up.r04,
    "R05": signing_up.r05,
    "R06": signing_up.r06,
    "R07": signing_up.r07,
    "R08": signing_up.r08,
    "R09": pins.r09,
    "R10": pins.r10,
    "R11": no_number.r11,
    "R12": no_number.r12,
    "R13": no_number.r13,
    "R14": no_number.r14,
    "R15": hospital.r15,
    "R16": hospital.r16,
    "R17": hospital.r17,
    "R18": hospital.r18,
    "R19": hospital.r19,
    "R20": accounts.r20,
    "R21": accounts.r21,
    "R22": accounts.r22,
    "R23": no_number.r23,
    "R24": no_number.r24,
    "R25": pins.r25,
    "R26": pins.r26,
    "R27": desk.r27,
    "R28": desk.r28,
    "R29": desk.r29,
    "R30": desk.r30,
    "R31": ways.r31,
    "R32": ways.r32,
    "R33": accounts.r33,
    "R34": pins.r34,
    "R35": accounts.r35,
    "R36": no_number.r36,
    "R37": hospital.r37,
    "R38": no_number.r38,
    "R39": signing_up.r39,
    "R40": accounts.r40,
    "R41": pins.r41,
    "R42": pins.r42,
    "R43": ways.r43,
    "R44": ways.r44,
    "R45": ways.r45,
    "R46": signing_up.r46,
    "R47": accounts.r47,
}
# Requirements whose check only reads pages, and why there is nothing else to check.
TEXT_ONLY: Final[Mapping[str, str]] = {
    "R18": "the four steps are taken in the Region's own catalogue, where no broker is",
    "R26": "which card people carry is said, and no login asks for a card",
}
MOST_TEXT_ONLY: Final = 2
NUMBERS: Final = tuple(sorted({cpr(each) for each in PERSONAS if cpr(each)}))


def leaks(seen: Seen, deployment: Deployment) -> list[str]:
    """Name where a CPR number of anybody stands: an address, a page, the log, a mail, the library's access log."""
    places = {
        "address": seen.urls,
        "page": seen.pages,
        "log": [str(each) for each in seen.told],
        "mail": [each.octets.decode("utf-8", "replace") + each.text for each in deployment.mailbox.mails()],
        "access log": deployment.koha.access,
    }
    written = tuple(spelling for number in NUMBERS for spelling in spellings_of_number(number))
    return [place for place, texts in places.items() if any(each in text for text in texts for each in written)]


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_a_requirement_is_met(deployment: Deployment, name: str) -> None:
    """The broker does what the requirement says, and nowhere on the way does a CPR number show.

    Source: docs/reference/design.md#invariant-4.
    """
    with watch_broker(deployment) as seen:
        REQUIREMENTS[name](deployment)
    assert seen.pages
    assert leaks(seen, deployment) == []
    # A check that only looks at pages has driven nothing.
    assert (seen.acts > 0) is (name not in TEXT_ONLY)


def test_every_requirement_has_a_check_that_says_what_it_holds() -> None:
    """R01 to R47, none missing, none twice, each with its own words; two at most are texts and nothing else."""
    assert list(REQUIREMENTS) == [f"R{number:02}" for number in range(1, 48)]
    assert [check.__name__.upper() for check in REQUIREMENTS.values()] == list(REQUIREMENTS)
    sayings = [inspect.getdoc(check) or "" for check in REQUIREMENTS.values()]
    assert all(each.endswith(".") for each in sayings)
    assert len(set(sayings)) == len(sayings)
    assert len(TEXT_ONLY) <= MOST_TEXT_ONLY
    assert set(TEXT_ONLY) < set(REQUIREMENTS)
    assert all(TEXT_ONLY.values())


def test_a_number_that_shows_is_found(deployment: Deployment) -> None:
    """The recorder of the checks finds a CPR number in an address and on a page, in all spellings."""
    with watch_broker(deployment) as seen:
        deployment.person().get("/sign-up?note=140304%2D4004")
    assert leaks(seen, deployment) == ["address"]
    seen.pages.append("<p>Your number is 140304 4004.</p>")
    assert leaks(seen, deployment) == ["address", "page"]
