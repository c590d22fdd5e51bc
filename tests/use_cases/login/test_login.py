"""One login from request to assertion: whose browser, whose answer, and whose facts each step goes by."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import BrowserUnmatched, FormRefused, RequestRefused
from broker.core.login.transaction import MOST_OCTETS, LoginPurpose
from broker.use_cases.storage.records import dump

MINUTE: Final = timedelta(minutes=1)
CPR: Final = "0101990000"


# Begun


def test_a_new_transaction_is_small(logins: Any) -> None:
    """The longest request that is kept makes a record of 2 kB beside its RelayState; a longer one is refused."""
    relay = "r" * 2000
    long = replace(logins.request(), relay_state=relay, requester_ids=("https://one.example/",))
    spare = MOST_OCTETS - long.octets
    longest = replace(long, requester_ids=("https://one.example/" + "x" * spare,))
    context, _ = logins.flow.begin(longest, logins.world.now)
    assert len(dump(context.transaction)) - len(relay) <= 2048
    for longer in (
        replace(longest, idp_list=("x",)),
        replace(longest, authn_contexts=("é",)),
        replace(longest, id=longest.id + "x"),
    ):
        with pytest.raises(RequestRefused) as refused:
            logins.flow.begin(longer, logins.world.now)
        assert refused.value.request == longer


@pytest.mark.parametrize(
    ("service", "browser", "upstream", "asks"),
    [
        ("e-resources", "b", "wayf", True),
        ("e-resources", None, "wayf", False),
        ("my-loans", "b", None, False),
        ("reading-room", "b", "pin", False),
    ],
    ids=["one way", "one way, no browser", "several ways", "a PIN"],
)
def test_an_upstream_is_asked_at_once_where_there_is_no_choice(
    logins: Any, service: str, browser: str | None, upstream: str | None, *, asks: bool
) -> None:
    """For a browser that is bound in the same put, never for nobody, and never the library system."""
    puts = logins.world.hooks.calls.count("put")
    context, sent = logins.flow.begin(logins.request(service), logins.world.now, browser)
    assert logins.world.hooks.calls.count("put") == puts + 1
    begun = logins.read_stored(context)
    assert begun == context.transaction
    assert (begun.browser, begun.upstream, sent is not None) == (browser, upstream, asks)
    assert begun.outstanding == ((sent,) if asks else ())
    assert begun.until == logins.world.now + (30 if browser else 2) * MINUTE


# Logins for pages of our own


@pytest.mark.parametrize(
    "purpose", [LoginPurpose.SIGN_UP, LoginPurpose.PIN, LoginPurpose.PIN_BY_MAIL, LoginPurpose.CHOICES]
)
def test_a_login_for_a_page_of_ours_goes_by_the_policy_of_one_service(logins: Any, purpose: LoginPurpose) -> None:
    """It answers no request of a service, and the person logs in afresh."""
    context = logins.flow.begin_for(purpose, logins.world.now, intent="nurse", back="e-resources")
    begun = logins.read_stored(context)
    assert (begun.purpose, begun.request.service, begun.intent, begun.back) == (
        purpose,
        "my-loans",
        "nurse",
        "e-resources",
    )
    assert (begun.request.id, begun.request.entity_id, begun.request.acs) == ("", "", "")
    assert (begun.is_forced, begun.shared, begun.browser, begun.upstream) == (True, False, None, None)


# Asked


def test_an_upstream_is_asked_of_a_bound_login_only(logins: Any) -> None:
    """No answer could be matched with a browser."""
    context, _ = logins.flow.begin(logins.request(), logins.world.now)
    with pytest.raises(BrowserUnmatched):
        logins.flow.ask_upstream(context, "wayf", logins.world.now)


def test_a_request_is_recorded_before_it_is_sent(logins: Any) -> None:
    """Its id carries the transaction and 128 random bits; nothing else of the login changes."""
    joined = logins.log_in(logins.begun(), logins.student())
    asked, sent = logins.flow.ask_upstream(joined, "other", logins.world.now)
    assert (sent.upstream, sent.sent) == ("other", logins.world.now)
    assert sent.id.startswith(f"_{joined.transaction.id}")
    assert len(sent.id) == 65
    assert logins.read_stored(asked) == replace(joined.transaction, outstanding=(sent,), sent=2)
    _, another = logins.flow.ask_upstream(asked, "other", logins.world.now)
    assert another.id != sent.id


# Answered


def test_a_refused_message_spoils_its_own_request_alone(logins: Any) -> None:
    """The request cannot be tried again, even if another login has joined meanwhile."""
    context = logins.begun()
    asked, sent = logins.flow.ask_upstream(context, "wayf", logins.world.now)
    asked, other = logins.flow.ask_upstream(asked, "wayf", logins.world.now)
    joined = logins.log_in(asked, logins.student())
    logins.flow.consume_request(asked, sent, logins.world.now)
    assert logins.read_stored(context) == replace(joined.transaction, outstanding=(other,))


# By a PIN


@pytest.mark.parametrize("case", ["not bound", "no PIN there", "not listed", "an upstream", "no way", "a sign-up"])
def test_a_pin_logs_in_where_it_is_a_way_only(logins: Any, case: str) -> None:
    """Elsewhere the login is refused and the transaction unchanged."""
    way = {"an upstream": "wayf", "no way": "unknown"}.get(case, "pin")
    if case == "a sign-up":
        begun = logins.flow.begin_for(LoginPurpose.SIGN_UP, logins.world.now)
        context = logins.flow.bind(begun, "b", logins.world.now)
    elif case == "not bound":
        context, _ = logins.flow.begin(logins.request(), logins.world.now)
    elif case == "not listed":
        context = logins.begun(idp_list=("https://wayf.example",))
    else:
        context = logins.begun("e-resources" if case == "no PIN there" else "my-loans")
    with pytest.raises(FormRefused):
        logins.flow.join_verified_pin(context, way, Borrower("42", "STUD", cpr=CPR), logins.world.now)
    assert logins.read_stored(context).authentication is None
    assert list(logins.world.store.list("link", None, logins.world.now)) == []


# The borrower


def test_enrolment_is_refused_at_any_other_step(logins: Any) -> None:
    """Neither before the person agreed nor where the policies deny: nothing is requested."""
    for answer in (logins.student(), logins.answer(eppn="kim@au.dk")):
        context = logins.log_in(logins.begun(), answer)
        assert logins.flow.enrol(context, logins.world.now, language="en", patience=0) == context
        assert logins.read_stored(context) == context.transaction
    assert not logins.world.worker.step()
    assert not any(each.value.enrolment for each in logins.world.persons.list_all(logins.world.now))
