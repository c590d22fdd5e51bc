"""The values of the consent page: everything that leaves, in the person's language, without the CPR number."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.web.pages.consent_screen import ConsentScreen, ShownValue, mask, may_reveal, whole_number
from broker.core.consent.disclosure import Item, disclose
from broker.core.entities import Institution, Service, Text, Upstream
from broker.core.identity.rights import Ground
from broker.core.login.steps import Ask
from broker.core.login.transaction import Account, AccountState, Authentication, Transaction
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import BorrowerRule, PolicyLine, RegisterRule

WHY = Text("why", "hvorfor")
CPR = "0101881235"
LABELS = {"cpr": Text("CPR number", "CPR-nummer")}
SERVICE = Service("my-loans", "https://loans.example", Text("My loans", "Mine lån"), ("wayf",))
ITEM = st.builds(
    Item,
    st.sampled_from(["cpr", "borrower_number", "mail", "sn", "eduPersonEntitlement"]),
    st.lists(st.text(min_size=1), max_size=3).map(tuple),
    st.just(WHY),
    st.booleans(),
)
Question = Callable[..., Ask]


def show(asked: Ask, transaction: Transaction, language: str = "en") -> ConsentScreen:
    """Give what the page shows on the very moment of arrival."""
    return ConsentScreen(asked, SERVICE, LABELS, language, transaction, transaction.begun)


@pytest.mark.parametrize(
    ("rule", "changes", "shown"),
    [
        (RegisterRule("set_if_empty"), {}, "address"),
        (RegisterRule(), {}, "number"),
        (None, {}, ""),
        (RegisterRule("always"), {"ground": Ground.ALUMNI}, ""),
    ],
)
def test_the_page_says_that_the_cpr_register_is_asked(
    question: Question, login: Transaction, rule: RegisterRule | None, changes: dict[str, Any], shown: str
) -> None:
    """And for what, wherever a login may have somebody looked up."""
    asked = question()
    policy = asked.decision.policy
    assert policy
    made = BorrowerRule("STUD", (), Expiry(24), (), "mail", place=PolicyLine("p.yaml", 1), register=rule)
    policy = replace(policy, borrower=made)
    decision = replace(asked.decision, policy=policy, **{"ground": Ground.INSTITUTION, **changes})
    disclosure = disclose(decision, SERVICE, "acs", None)
    asked = Ask(replace(asked.question, disclosure=disclosure), decision)
    assert show(asked, login).disclosure.looked_up == shown


@given(items=st.lists(ITEM, max_size=6).map(tuple))
def test_the_page_shows_exactly_what_leaves(items: tuple[Item, ...], question: Question, login: Transaction) -> None:
    """Each item is a row, an optional one a choice; nothing is hidden and nothing added.

    Source: docs/reference/consent.md#check-1.
    """
    screen = show(question(items=items), login)
    assert [row.name for row in screen.rows] == [item.name for item in items if not item.optional]
    assert [row.name for row in screen.choices] == [item.name for item in items if item.optional]
    assert [row.values for row in screen.rows] == [_expect_values(item) for item in items if not item.optional]
    assert [row.values for row in screen.choices] == [_expect_values(item) for item in items if item.optional]


def _expect_values(item: Item) -> tuple[ShownValue, ...]:
    if item.name == "borrower_number":
        return ()
    values = tuple(mask(value) for value in item.values) if item.name == "cpr" else item.values
    return tuple(ShownValue(value) for value in values)


@given(number=st.from_regex(r"[0-9]{10}", fullmatch=True), optional=st.booleans())
def test_no_row_holds_a_cpr_number(number: str, optional: bool, question: Question, login: Transaction) -> None:
    """The number is masked whatever the policy says of it.

    Source: docs/reference/design.md#invariant-4.
    """
    screen = show(question(items=(Item("cpr", (number,), WHY, optional),)), login)
    row = (*screen.rows, *screen.choices)[0]
    assert row.values == (ShownValue("••••••-••••"),)
    assert number[:6] not in str(screen.rows) + str(screen.choices)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (CPR, "••••••-••••"),
        ("010188-1235", "••••"),
        ("010188ABC1", "••••"),
        ("٠١٠١٨٨١٢٣٥", "••••"),
        ("01018812351", "••••"),
        ("", "••••"),
    ],
)
def test_no_digit_of_a_cpr_number_stays(value: str, expected: str) -> None:
    """A value that is not ten digits is hidden completely."""
    assert mask(value) == expected


def test_a_borrower_number_not_yet_made_is_pending(question: Question, login: Transaction) -> None:
    """Before the account is there the row says so; afterwards it stands for the number, which no page shows."""
    asked = question(items=(Item("borrower_number", (), WHY),))
    before = show(asked, login)
    after = show(asked, replace(login, account=Account("51", AccountState.KNOWN)))
    assert (before.rows[0].pending, before.rows[0].values, before.makes_account) == (True, (), True)
    assert (after.rows[0].pending, after.rows[0].values, after.makes_account) == (False, (), False)
    assert (before.rows[0].hidden, after.rows[0].hidden) == (False, True)


def test_authorities_are_shown_by_name(question: Question, login: Transaction) -> None:
    """The page names each AuthenticatingAuthority in its order: as configured, else by its host; a PIN has none."""
    at = login.begun
    chain = ("https://inner.example/saml", "https://au")
    hub = Authentication("wayf", "https://hub", "https://au", chain, (), at, None, at, at)
    university = Institution("https://au", label=Text("Aarhus University", "Aarhus Universitet"))
    upstream = Upstream("wayf", "wayf", "https://hub", "", "", Text("WAYF", "WAYF"), (university,))
    login = replace(login, authentication=hub)
    shown = ConsentScreen(question(), SERVICE, LABELS, "en", login, at, upstream=upstream)
    assert shown.authorities == ("inner.example", "Aarhus University", "WAYF")
    unlabelled = replace(upstream, institutions=(Institution("https://au"),))
    shown = ConsentScreen(question(), SERVICE, LABELS, "en", login, at, upstream=unlabelled)
    assert shown.authorities == ("inner.example", "WAYF")
    by_pin = replace(hub, authorities=(), issuer="")
    assert show(question(), replace(login, authentication=by_pin)).authorities == ()


@pytest.mark.parametrize(("profile", "origin"), [("library", "your library account"), ("wayf", "Aarhus University")])
def test_the_origin_is_true_for_every_upstream(
    question: Question, login: Transaction, profile: Any, origin: str
) -> None:
    """A login by PIN comes from the library account, whatever the label of that way to log in says."""
    upstream = Upstream("x", profile, "", "", "", Text("Library account (card number and PIN)", ""))
    asked = question()
    assert ConsentScreen(asked, SERVICE, LABELS, "en", login, login.begun, upstream=upstream).origin == origin


def test_the_address_of_the_account_is_shown_where_it_differs(question: Question, login: Transaction) -> None:
    """An address that is sent to the service anyway stands there already."""
    screen = show(question(items=(Item("mail", ("kim@post.example",), WHY),)), login)
    addresses = ("kim@post.example", "kim@auh.rm.dk", None)
    assert [screen.is_other_address(each) for each in addresses] == [False, True, False]


def test_no_number_is_revealed_before_a_login(login: Transaction) -> None:
    """Before an authentication there is no owner to show the number to."""
    assert may_reveal(replace(login, authenticated=None), login.begun) is False


def test_without_a_cpr_number_there_is_nothing_to_show(question: Question, login: Transaction) -> None:
    """The button stands only where a number leaves."""
    asked = question(items=(Item("sn", ("Holm",), WHY),))
    assert show(asked, login).revealable is False
    assert whole_number(asked.question.disclosure) is None


@pytest.mark.parametrize(("value", "expected"), [(CPR, "010188-1235"), ("010188ABC1", "010188ABC1")])
def test_the_owner_sees_the_number_as_people_write_it(value: str, expected: str, question: Question) -> None:
    """Ten digits get their hyphen; whatever else came is shown as it came."""
    assert whole_number(question(items=(Item("cpr", (value,), WHY),)).question.disclosure) == expected
