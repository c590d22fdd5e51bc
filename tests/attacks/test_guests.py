"""Attack: a guest of an institution types another person's CPR number into the guest account.

The broker treats such a number as not asserted: the guest gets nothing of that person.
"""

from typing import Final

import pytest

from broker.demo.library.services import Landing
from tests.attacks.test_persons import (
    ASTA,
    URN,
    agree_and_land,
    arrive,
    asta_with,
    delete_stored_data,
    open_stored_data,
    read_stored_data,
)
from tests.plugins.deployment import Deployment, mark

# In these cases institutions let people type a number, or do not state an assurance.
GUESTS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "library-walk-in": {"eduPersonScopedAffiliation": ("library-walk-in@au.dk",)},
    "affiliate": {"eduPersonScopedAffiliation": ("affiliate@au.dk",)},
    "unknown word": {"eduPersonScopedAffiliation": ("visitor@au.dk",)},
    "no affiliation": {"eduPersonScopedAffiliation": ()},
    "no affiliation, high": {"eduPersonScopedAffiliation": (), "eduPersonAssurance": ("3",)},
    "another institution's student": {"eduPersonScopedAffiliation": ("student@ku.dk",)},
    "missing assurance": {"eduPersonAssurance": ()},
    "self-asserted": {"eduPersonAssurance": ("1",)},
}


@pytest.fixture(params=GUESTS, ids=list(GUESTS))
def guest(request: pytest.FixtureRequest) -> dict[str, tuple[str, ...]]:
    """Return the attributes of a guest who typed Asta's number."""
    own = {
        "eduPersonPrincipalName": ("mallory@au.dk",),
        "eduPersonPrimaryAffiliation": (),
        "schacPersonalUniqueID": (URN + ASTA,),
    }
    return own | GUESTS[request.param]


@pytest.fixture
def asta(deployment: Deployment) -> Landing:
    """Let Asta get a borrower and consent at My loans."""
    person = deployment.person()
    assert deployment.landing(person.agree(person.log_in("asta"), remember=True)).status == "Success"
    return agree_and_land(deployment, arrive(deployment))


def test_a_guest_gets_neither_loans_nor_a_lower_category(
    deployment: Deployment, asta: Landing, guest: dict[str, tuple[str, ...]]
) -> None:
    """The guest receives neither borrower number nor CPR number, and Asta's category is not lowered."""
    number = asta.attributes["uid"][0]
    for service in ("my-loans", "myprint"):
        _, page = arrive(deployment, service, **guest)
        assert mark(page)[0] == "refuse"
        assert dict(deployment.landing(page).attributes) == {}
    assert deployment.koha.patrons.row(int(number))["category_id"] == "STUDENT"


def test_a_guest_withdraws_no_consent(deployment: Deployment, asta: Landing, guest: dict[str, tuple[str, ...]]) -> None:
    """/my-choices shows the guest none of Asta's consents."""
    assert asta.status == "Success"
    stranger = deployment.person()
    page = stranger.return_from_hub(stranger.get("/my-choices?with=wayf").location, asta_with(**guest))
    assert b'data-service="my-loans"' not in page.get_data()


def test_a_guest_sees_and_deletes_nothing_of_the_person(
    deployment: Deployment, asta: Landing, guest: dict[str, tuple[str, ...]]
) -> None:
    """The guest can neither read nor delete Asta's stored data."""
    stranger = deployment.person()
    assert mark(open_stored_data(stranger, asta_with(**guest))) == ("choices", "unknown")
    assert mark(delete_stored_data(stranger, asta_with(**guest))) in {("choices", "none"), ("choices", "unknown")}
    assert "my-loans" in read_stored_data(deployment.person(), asta_with())
    again = agree_and_land(deployment, arrive(deployment))
    assert (again.name_id, again.attributes) == (asta.name_id, asta.attributes)


def test_alumni_use_and_lower_their_account_and_manage_no_stored_data(deployment: Deployment, asta: Landing) -> None:
    """Some alumni portals let people register themselves: alumni use their account, but see no data and set no PIN."""
    left = {"eduPersonScopedAffiliation": ("alum@au.dk",), "eduPersonPrimaryAffiliation": ("alum",)}
    person = deployment.person()
    assert mark(open_stored_data(person, asta_with(**left))) == ("choices", "unknown")
    page = person.return_from_hub(person.get("/pin?change=wayf").location, asta_with(**left))
    assert mark(page)[0] == "refuse"
    assert (
        agree_and_land(deployment, arrive(deployment, "my-loans", **left)).attributes["uid"] == asta.attributes["uid"]
    )
    assert deployment.koha.patrons.row(int(asta.attributes["uid"][0]))["category_id"] == "PRIVATE"
