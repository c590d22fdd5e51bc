"""Attack: guessing, replaying or stealing the codes that prove a mail address."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.stores.sqlite import SqliteStore
from broker.core.errors import AUTHN_FAILED, BrowserUnmatched, CodeRefused
from broker.core.login.transaction import UpstreamRefusal
from broker.core.ports import Key, Write
from broker.use_cases.transactions.transactions import LoginContext
from tests.plugins.deployment import Deployment, change_persona, find_text, mark
from tests.plugins.mailbox_proof_bench import (
    NURSE,
    MailServer,
    ProofBench,
    different_code,
    open_bench,
    outcome_of,
    run_mail_server,
)
from tests.walks.requirements.people import EVA
from tests.walks.requirements.visits import CPR, prove_mailbox, sign_up

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def post() -> Iterator[MailServer]:
    """Return a mail server."""
    with run_mail_server() as found:
        yield found


@pytest.fixture
def bench(tmp_path: Path, post: MailServer) -> ProofBench:
    """Return a test bench with an empty store and mailbox."""
    return open_bench(tmp_path, post)


def run_in_parallel(attempts: list[Callable[[], LoginContext]]) -> list[str]:
    """Run the attempts in parallel."""
    with ThreadPoolExecutor(len(attempts)) as threads:
        return sorted(threads.map(outcome_of, attempts))


def test_parallel_guesses_by_two_workers_are_limited_to_five(bench: ProofBench) -> None:
    """Forty parallel guesses by two workers are checked five times in total."""
    context = bench.mail_code(bench.login())
    code = bench.read_mailed_code()
    assert run_in_parallel([lambda: bench.try_code(context, different_code(code))] * 40).count("code_wrong") == 5
    assert outcome_of(lambda: bench.try_code(context, code)) == "code_used_up"


def test_a_person_and_a_mailbox_have_fifteen_guesses_a_day(bench: ProofBench) -> None:
    """A person and a mailbox have fifteen guesses a day, however many logins are open: a chance of 15 in 10^8."""
    logins = [bench.login() for _ in range(6)]
    asked = run_in_parallel([partial(bench.mail_code, logins[each], address=f"n{each}@auh.rm.dk") for each in range(6)])
    assert asked == ["proved"] * 3 + ["too_many"] * 3
    code = bench.read_mailed_code()
    guesses = run_in_parallel([partial(bench.try_code, logins[each % 6], different_code(code)) for each in range(40)])
    # One browser: a wrong code uses a try of each of its codes.
    assert guesses.count("code_wrong") == 5


def test_the_right_code_sent_many_times_at_once_proves_once(bench: ProofBench) -> None:
    """The right code sent in parallel proves the address once, because one compare-and-set uses it up."""
    context = bench.mail_code(bench.login())
    code = bench.read_mailed_code()
    ends = run_in_parallel([lambda: bench.try_code(context, code)] * 4)
    assert ends.count("proved") == 1
    assert set(ends) <= {"proved", "code_none"}
    assert len(bench.reread(context).proofs) == 1


def test_a_used_code_proves_nothing_more(bench: ProofBench) -> None:
    """Replay: a used code proves nothing, neither in the current nor in an earlier state of the login."""
    context = bench.mail_code(bench.login())
    code = bench.read_mailed_code()
    done = bench.try_code(context, code)
    for each in (done, context):
        for owner in ("ann", "bo"):
            with pytest.raises(CodeRefused, match="code_none"):
                bench.try_code(each, code, owner)
    assert bench.list_valid_proofs("bo") == ()


def test_a_code_works_for_its_own_browser_and_person_only(bench: ProofBench) -> None:
    """A code works only in the browser and for the person that requested it, also if a stranger reads the mailbox."""
    context = bench.mail_code(bench.login())
    code = bench.read_mailed_code()
    elsewhere = bench.login(browser="browser 2")
    assert outcome_of(lambda: bench.try_code(elsewhere, code)) == "code_none"
    assert outcome_of(lambda: bench.try_code(context, code, "bo")) == "code_none"
    assert outcome_of(lambda: bench.try_code(context, code)) == "proved"


def join_again(bench: ProofBench, context: LoginContext) -> LoginContext:
    """Let another authentication join the login, as a second Response does.

    Source: docs/reference/design.md#4a-3.
    """
    answer = UpstreamRefusal("wayf", AUTHN_FAILED)
    joined = context.transaction.add_answer(answer, "", "another", bench.now + timedelta(seconds=1))
    done = bench.transactions.put(joined, context.version, bench.now)
    assert done is not None
    return done


def test_a_person_who_joins_after_the_mail_cannot_use_the_code(bench: ProofBench) -> None:
    """If another person joins the login after the mail, the code works for neither page."""
    context = bench.mail_code(bench.login())
    code = bench.read_mailed_code()
    joined = join_again(bench, context)
    with pytest.raises(CodeRefused, match="code_none"):
        bench.try_code(joined, code, "bo")
    with pytest.raises(BrowserUnmatched):
        bench.try_code(context, code)
    assert bench.reread(context) == joined.transaction
    assert bench.list_valid_proofs("ann") == bench.list_valid_proofs("bo") == ()


def test_no_mail_is_sent_for_a_replaced_person(bench: ProofBench) -> None:
    """If another person joins the login before the mail is queued, no mail is sent."""
    context = bench.login()
    joined = join_again(bench, context)
    with pytest.raises(BrowserUnmatched):
        bench.mail_code(context)
    assert not bench.outbox().step()
    assert bench.reread(context) == joined.transaction


def test_only_one_of_two_persons_proves_an_address(bench: ProofBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Race: two persons prove one address at once, and only one gets it."""
    first = bench.mail_code(bench.login())
    first_code = bench.read_mailed_code()
    second = bench.mail_code(bench.login(browser="browser 2"), "bo")
    second_code = bench.read_mailed_code()
    mine: list[Key] = []
    put_many = SqliteStore.put_many

    def between(store: SqliteStore, first: Write, *args: Any, **how: Any) -> bool:
        if first.key.kind == "index" and not mine:
            mine.append(first.key)
            bench.try_code(second, second_code, "bo")
        return put_many(store, first, *args, **how)

    monkeypatch.setattr(SqliteStore, "put_many", between)
    assert outcome_of(lambda: bench.try_code(first, first_code)) == "address_taken"
    assert [each.address for each in bench.list_valid_proofs("bo")] == [NURSE]
    assert bench.list_valid_proofs("ann") == ()


def test_parallel_requests_send_no_more_mails_than_the_limit(bench: ProofBench) -> None:
    """Twelve parallel requests send three mails to one mailbox, because they are counted before they are queued."""
    logins = [bench.login() for _ in range(12)]
    attempts = [lambda each=each: bench.mail_code(logins[each], f"p{each}") for each in range(12)]
    assert run_in_parallel(attempts) == ["proved"] * 3 + ["too_many"] * 9  # type: ignore[arg-type]
    bench.read_mailed_code()
    assert len(bench.mailbox.mails()) == 3


def test_stored_keys_contain_no_personal_data(bench: ProofBench) -> None:
    """No key in the store contains an address, a code or a person's name.

    Source: docs/reference/design.md#sealing: lookups are HMACs.
    """
    context = bench.mail_code(bench.login())
    code = bench.read_mailed_code()
    bench.try_code(context, code)
    store = SqliteStore(bench.path)
    keys = [repr(key) for kind in ("index", "person", "code", "mail") for key, _ in store.list(kind, None, bench.now)]
    assert len(keys) >= 3
    assert not any(secret in key for key in keys for secret in (NURSE, "nurse", code))


def test_a_nameless_login_is_asked_for_no_proof(deployment: Deployment) -> None:
    """A login without name and number is asked for no proof: it would block the address for its owner for a year."""
    nameless = change_persona(EVA, **{CPR: (), "eduPersonPrincipalName": ()})
    assert mark(sign_up(deployment.person(), nameless, "hospital", "nemid"))[0] != "proof"
    assert mark(sign_up(deployment.person(), EVA, "hospital", "nemid"))[0] == "proof"


def test_a_user_name_alone_does_not_see_a_proved_address(deployment: Deployment) -> None:
    """A login with Eva's user name but without her number does not see Eva's address, and cannot use it."""
    person, other = deployment.person(), deployment.person()
    assert mark(prove_mailbox(person, sign_up(person, EVA, "hospital", "nemid"), NURSE))[0] != "proof"
    page = sign_up(other, change_persona(EVA, **{CPR: ()}), "hospital", "nemid")
    assert mark(page)[0] == "proof"
    assert find_text(prove_mailbox(other, page, NURSE), "//*[@data-problem]/@data-problem") == "address_taken"


def test_the_next_holder_of_a_name_has_proved_nothing(deployment: Deployment) -> None:
    """After twelve months without a login, a user name without number is a new person, who must prove an address."""
    nameless = change_persona(EVA, **{CPR: ()})
    person = deployment.person()
    assert mark(prove_mailbox(person, sign_up(person, nameless, "hospital", "nemid"), NURSE))[0] != "proof"
    assert mark(sign_up(deployment.person(), nameless, "hospital", "nemid"))[0] != "proof"
    deployment.clock.ahead = timedelta(days=366)
    assert mark(sign_up(deployment.person(), nameless, "hospital", "nemid"))[0] == "proof"
