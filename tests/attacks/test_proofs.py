"""Guessing, replaying and borrowing the codes and links that prove a mailbox: refused, counted, and without a trace."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.stores.sqlite import SqliteStore
from broker.core.errors import BrowserUnmatched, CodeRefused
from broker.core.ports import Kept, Key
from broker.use_cases.proofs import mailbox_proof as proving
from broker.use_cases.transactions import Held
from tests.plugins.house import House, found, mark
from tests.plugins.proofs import DOMAINS, NURSE, YEAR, Bench, Post, opened, other, outcome, posted
from tests.plugins.requirements.people import EVA, asserted
from tests.plugins.requirements.visits import CPR, proved, sign_up

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    """Give a mail server."""
    with posted() as found:
        yield found


@pytest.fixture
def bench(tmp_path: Path, post: Post) -> Bench:
    """Give an empty store and an empty mailbox."""
    return opened(tmp_path, post)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give what has been compared with a code or a link so far."""
    found: list[str] = []
    same = proving._same

    def noted(known: str, given: str) -> bool:
        found.append(given)
        return same(known, given)

    monkeypatch.setattr(proving, "_same", noted)
    return found


def at_once(attempts: list[Callable[[], Held]]) -> list[str]:
    """Make attempts side by side."""
    with ThreadPoolExecutor(len(attempts)) as threads:
        return sorted(threads.map(outcome, attempts))


def test_guesses_in_parallel_by_two_workers_are_five_in_all(bench: Bench, compared: list[str]) -> None:
    """Counted before compared: forty guesses at once, through two stores on one file, and five looks at the code."""
    held = bench.mail(bench.login())
    wrong = other(bench.read(held)[0])
    workers = [bench.proving(), bench.proving()]
    attempts = [
        lambda each=each: workers[each % 2].try_code(
            held, wrong, "ann", bench.now, domains=DOMAINS, remembered_for=YEAR
        )
        for each in range(40)
    ]
    assert at_once(attempts) == ["code_used_up"] * 35 + ["code_wrong"] * 5  # type: ignore[arg-type]
    assert len(compared) == 5


def test_guesses_over_many_logins_at_once_are_fifteen_in_all(bench: Bench, compared: list[str]) -> None:
    """Who opens several logins for one person guesses no more in a day than with one."""
    logins = [bench.mail(bench.login(), address=f"n{each}@auh.rm.dk") for each in range(5)]
    attempts = [lambda each=each: bench.press(logins[each % 5], "0" * 32) for each in range(25)]
    ends = at_once(attempts)  # type: ignore[arg-type]
    assert set(ends) == {"code_wrong", "too_many"}
    assert ends.count("code_wrong") == len(compared) == 15


def test_the_right_code_sent_many_times_at_once_proves_once(bench: Bench) -> None:
    """One put takes the code and adds the proof: whoever loses that race finds nothing to use."""
    held = bench.mail(bench.login())
    code, link = bench.read(held)
    attempts = [lambda: bench.code(held, code), lambda: bench.press(held, link)] * 2
    assert at_once(attempts) == ["code_none"] * 3 + ["proved"]
    assert len(bench.again(held).proofs) == 1


@pytest.mark.parametrize("again", ["code", "link"])
def test_a_used_code_or_link_proves_nothing_more(bench: Bench, again: str) -> None:
    """Replayed after it was used, to the transaction as it stands or as it stood."""
    held = bench.mail(bench.login())
    code, link = bench.read(held)
    done = bench.code(held, code)
    for each in (done, held):
        with pytest.raises(CodeRefused, match="code_none"):
            bench.code(each, code, "bo") if again == "code" else bench.press(each, link, "bo")
    assert bench.proving().remembered("bo", bench.now) == ()
    assert bench.proving().opened(done, link, bench.now) is None


def test_a_code_is_good_in_its_own_login_only(bench: Bench) -> None:
    """What was mailed for one login is wrong in another, of the same person or of somebody else's."""
    mine = bench.mail(bench.login())
    code, link = bench.read(mine)
    theirs = bench.mail(bench.login(), "bo", "bo@auh.rm.dk")
    code = code if bench.read(theirs)[0] != code else other(code)
    assert outcome(lambda: bench.code(theirs, code, "bo")) == "code_wrong"
    assert outcome(lambda: bench.press(theirs, link, "bo")) == "code_wrong"
    with pytest.raises(CodeRefused, match="code_none"):
        bench.press(bench.login(), link)
    assert bench.proving().opened(theirs, link, bench.now) is None


def rejoined(bench: Bench, held: Held) -> Held:
    """Let another authentication join the transaction, as a second answer of the upstream does.

    Source: docs/reference/design.md#4a-3.
    """
    joined = replace(held.transaction.cleared(), arrival="another", authenticated=bench.now + timedelta(seconds=1))
    done = bench.transactions.put(joined, held.version, bench.now)
    assert done is not None
    return done


def test_a_person_who_joins_after_the_mail_inherits_nothing_of_it(bench: Bench) -> None:
    """Neither by the page of the person before nor by their own: the mailing is gone with its authentication."""
    held = bench.mail(bench.login())
    code, link = bench.read(held)
    joined = rejoined(bench, held)
    with pytest.raises(BrowserUnmatched):
        bench.code(held, code)
    with pytest.raises(CodeRefused, match="code_none"):
        bench.press(joined, link, "bo")
    assert bench.again(held) == joined.transaction
    assert bench.proving().remembered("ann", bench.now) == bench.proving().remembered("bo", bench.now) == ()


def test_no_mail_leaves_for_a_person_who_is_gone(bench: Bench) -> None:
    """Where another authentication has joined before the mail is written down, none is sent and nothing changes."""
    held = bench.login()
    joined = rejoined(bench, held)
    with pytest.raises(BrowserUnmatched):
        bench.mail(held)
    assert bench.mailbox.mails() == ()
    assert bench.again(held) == joined.transaction


def test_two_persons_who_prove_one_address_at_once_are_one_proof_and_one_case(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second's claim comes between the first's look and its write: the address is one person's all the same."""
    first, second = bench.mail(bench.login()), bench.login()
    first_code, _ = bench.read(first)
    second = bench.mail(second, "bo")
    second_code, _ = bench.read(second)
    mine: list[Key] = []
    put = SqliteStore.put

    def between(store: SqliteStore, key: Key, kept: Kept, *args: Any, **how: Any) -> bool:
        if key.kind == "proof" and not mine:
            mine.append(key)
            bench.code(second, second_code, "bo")
        return put(store, key, kept, *args, **how)

    monkeypatch.setattr(SqliteStore, "put", between)
    assert outcome(lambda: bench.code(first, first_code)) == "address_taken"
    assert [each.address for each in bench.proving().remembered("bo", bench.now)] == [NURSE]
    assert bench.proving().remembered("ann", bench.now) == ()
    assert [owner for owner, _ in bench.desk.cases] == ["ann"]


def test_mails_asked_for_at_once_are_as_many_as_one_after_another(bench: Bench) -> None:
    """Reserved before they are sent: twelve requests side by side, three mails to the mailbox."""
    logins = [bench.login() for _ in range(12)]
    attempts = [lambda each=each: bench.mail(logins[each], f"p{each}") for each in range(12)]
    assert at_once(attempts) == ["proved"] * 3 + ["too_many"] * 9  # type: ignore[arg-type]
    assert len(bench.mailbox.mails()) == 3


def test_what_is_kept_names_nobody(bench: Bench) -> None:
    """No key of the store holds an address, a code, a link or a person's name.

    Source: docs/reference/design.md#sealing: lookups are HMACs.
    """
    held = bench.mail(bench.login())
    code, link = bench.read(held)
    bench.code(held, code)
    keys = [repr(key) for key, _ in SqliteStore(bench.path).list("proof", None, bench.now)]
    assert len(keys) == 2
    assert not any(secret in key for key in keys for secret in (NURSE, "nurse", code, link))


def test_whom_nothing_names_is_asked_for_no_proof(house: House) -> None:
    """A proof of nobody would keep the address from its holder for a year: without name and number there is none."""
    nameless = asserted(EVA, **{CPR: (), "eduPersonPrincipalName": ()})
    assert mark(sign_up(house.person(), nameless, "hospital", "nemid"))[0] != "proof"
    assert mark(sign_up(house.person(), EVA, "hospital", "nemid"))[0] == "proof"


ONE = "6f1c0000-0000-4000-8000-000000000001"


@pytest.mark.parametrize("number_first", [True, False])
def test_one_person_with_and_without_a_number_is_no_second_person(house: House, *, number_first: bool) -> None:
    """The eID's own name stands for the number once both came together: one id, one proof, and no case."""
    eva = asserted(EVA, cprUuid=(ONE,))
    ways = [eva, asserted(eva, **{CPR: ()})]
    sign_up(house.person(), eva, "private", "nemid")  # name and number come together once
    first, then = ways if number_first else reversed(ways)
    person = house.person()
    assert mark(proved(person, sign_up(person, first, "hospital", "nemid"), NURSE))[0] != "proof"
    assert mark(sign_up(house.person(), then, "hospital", "nemid"))[0] != "proof"
    assert [row["reason"] for row in house.parts.cases.rows() if row["reason"] == "address_taken"] == []


def test_what_the_owner_of_a_number_proved_is_not_shown_to_a_name_alone(house: House) -> None:
    """Whoever comes by Eva's name without her number is asked, and may not have her mailbox."""
    person, other = house.person(), house.person()
    assert mark(proved(person, sign_up(person, EVA, "hospital", "nemid"), NURSE))[0] != "proof"
    page = sign_up(other, asserted(EVA, **{CPR: ()}), "hospital", "nemid")
    assert mark(page)[0] == "proof"
    assert found(proved(other, page, NURSE), "//*[@data-problem]/@data-problem") == "address_taken"
    assert [row["reason"] for row in house.parts.cases.rows() if row["state"] == "case"] == ["address_taken"]


def test_the_next_holder_of_a_name_has_proved_nothing(house: House) -> None:
    """After twelve months unseen a name without a number is somebody new, who is asked."""
    nameless = asserted(EVA, **{CPR: ()})
    person = house.person()
    assert mark(proved(person, sign_up(person, nameless, "hospital", "nemid"), NURSE))[0] != "proof"
    assert mark(sign_up(house.person(), nameless, "hospital", "nemid"))[0] != "proof"
    house.clock.ahead = timedelta(days=366)
    assert mark(sign_up(house.person(), nameless, "hospital", "nemid"))[0] == "proof"
