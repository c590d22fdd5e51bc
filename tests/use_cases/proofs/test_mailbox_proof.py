"""A mailbox proved by a real mail, over a real store: what is sent, what it proves, and when it does not."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.mail.smtp import Smtp
from broker.core.errors import AddressRefused, AddressTaken, CodeRefused, MailUnavailable, RecipientRefused, TooMany
from broker.core.login.transaction import Person
from tests.plugins.ports import free_port
from tests.plugins.proofs import DOMAINS, NURSE, YEAR, Bench, Post, opened, other, outcome, posted

pytestmark = pytest.mark.server

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    """Give a mail server."""
    with posted() as found:
        yield found


@pytest.fixture
def bench(tmp_path: Path, post: Post) -> Bench:
    """Give an empty store and an empty mailbox."""
    return opened(tmp_path, post)


def cause(error: pytest.ExceptionInfo[Any]) -> str:
    """Give the code of what was raised."""
    return str(error.value.cause)


def test_the_mail_holds_code_link_and_who_asked(bench: Bench) -> None:
    """One mail to the address typed and to no other, and nothing in it that numbers a person."""
    held = bench.mail(bench.login())
    code, link = bench.read(held)
    [mail] = bench.mailbox.mails()
    assert mail.recipients == (NURSE,)
    assert f"https://login.example/{link}" in mail.text
    assert "Ann Holm is logging in" in mail.text
    assert code not in mail.subject
    assert len(link) == 32
    assert held.transaction.proofs == ()


@pytest.mark.parametrize(
    "spelling",
    [
        "{}",
        " {}\u00a0",
        "{0[0]}{0[1]}{0[2]} {0[3]}{0[4]}{0[5]}",
        "{0[0]}{0[1]}{0[2]}-{0[3]}{0[4]}{0[5]}",
        "\u200b{}\ufeff",
    ],
)
def test_the_code_proves_the_address(bench: Bench, spelling: str) -> None:
    """Typed with the spaces and hyphens people put in: the transaction has the proof, and no mailing any more."""
    held = bench.mail(bench.login(person=Person("p")))
    done = bench.code(held, spelling.format(bench.read(held)[0]))
    [proved] = done.transaction.proofs
    assert (proved.name, proved.address, proved.domain) == ("kaldemail", NURSE, "auh.rm.dk")
    assert (proved.at, proved.until) == (bench.now, bench.now + YEAR)
    assert done.transaction == bench.again(held)
    assert done.transaction.mailing is None
    assert done.transaction.person is None  # more is known now, so the person is looked up again


def test_the_button_of_the_link_proves_the_address(bench: Bench) -> None:
    """The link's secret does what the code does."""
    held = bench.mail(bench.login())
    assert [each.address for each in bench.press(held, bench.read(held)[1]).transaction.proofs] == [NURSE]


def test_a_proof_is_remembered_for_its_person_until_it_ends(bench: Bench) -> None:
    """Twelve months later it is gone; nobody else has it before."""
    held = bench.mail(bench.login())
    done = bench.code(held, bench.read(held)[0])
    remembered = bench.proving().remembered
    assert remembered("ann", bench.now) == done.transaction.proofs
    assert remembered("ann", bench.now + YEAR - MINUTE) == done.transaction.proofs
    assert remembered("ann", bench.now + YEAR) == ()
    assert remembered("bo", bench.now) == ()


def test_a_later_proof_takes_the_place_of_the_earlier_of_its_name(bench: Bench) -> None:
    """One address a proof; proofs of another name stay."""
    for name, address in (("mail", "ann@post.example"), ("kaldemail", NURSE), ("kaldemail", "ann@ps.rm.dk")):
        held = bench.mail(bench.login(), address=address, name=name)
        bench.code(held, bench.read(held)[0], domains=())
    assert [each.address for each in bench.proving().remembered("ann", bench.now)] == [
        "ann@ps.rm.dk",
        "ann@post.example",
    ]
    first = bench.proving().remembered("ann", bench.now)
    held = bench.mail(bench.login(proofs=first))
    done = bench.code(held, bench.read(held)[0])
    assert sorted(each.address for each in done.transaction.proofs) == ["ann@post.example", NURSE]


@pytest.mark.parametrize(
    "typed",
    ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "\uff11\uff12\uff13\uff14\uff15\uff16", "12345\u0661", "+12345"],
)
def test_what_is_no_six_digits_costs_no_try(bench: Bench, typed: str) -> None:
    """It can never be right, in whatever script; six times, and the right code still counts."""
    held = bench.mail(bench.login())
    for _ in range(6):
        with pytest.raises(CodeRefused) as refused:
            bench.code(held, typed)
        assert cause(refused) == "code_malformed"
    assert bench.code(held, bench.read(held)[0]).transaction.proofs


def test_five_wrong_codes_end_a_mailing_and_a_new_mail_begins_another(bench: Bench) -> None:
    """After the fifth not even the right one counts; the newest mail's does."""
    held = bench.mail(bench.login())
    code, link = bench.read(held)
    for _ in range(5):
        with pytest.raises(CodeRefused) as refused:
            bench.code(held, other(code))
        assert cause(refused) == "code_wrong"
    assert outcome(lambda: bench.code(held, code)) == outcome(lambda: bench.press(held, link)) == "code_used_up"
    held = bench.mail(held)
    assert bench.code(held, bench.read(held)[0]).transaction.proofs


def test_fifteen_wrong_codes_end_a_day(bench: Bench) -> None:
    """New mails buy no more guesses than fifteen; right codes are not counted, and tomorrow there are new guesses."""
    for turn in range(5):
        held = bench.mail(bench.login(), address=f"n{turn}@auh.rm.dk")
        code, _ = bench.read(held)
        for _ in range(3):
            with pytest.raises(CodeRefused):
                bench.code(held, other(code))
        if turn < 4:
            bench.code(held, code)
    with pytest.raises(TooMany):
        bench.code(held, code)
    bench.now += timedelta(days=1)
    held = bench.mail(bench.login())
    assert bench.code(held, bench.read(held)[0]).transaction.proofs


def test_a_code_lasts_as_long_as_its_login_and_no_longer_than_half_an_hour(bench: Bench) -> None:
    """The mail says how long; at the end code and link are void."""
    held = bench.login()
    bench.now += 10 * MINUTE
    held = bench.mail(held)
    code, link = bench.read(held)
    assert "good for 20 minutes" in bench.mailbox.mails()[0].text
    assert held.transaction.mailing is not None
    end = held.transaction.mailing.until
    assert end == held.transaction.until
    assert bench.proving().opened(held, link, end - MINUTE) == held.transaction.mailing
    assert bench.proving().opened(held, link, end) is None
    with pytest.raises(CodeRefused) as refused:
        bench.code(held, code, now=end)
    assert cause(refused) == "code_expired"


def test_opening_a_link_uses_nothing_up(bench: Bench) -> None:
    """Mail scanners open links, as often as they like; another link opens nothing."""
    held = bench.mail(bench.login())
    _, link = bench.read(held)
    for _ in range(20):
        assert bench.proving().opened(held, link, bench.now) is not None
    for wrong in ("", "0" * 32, link[:-1], link + "0", "\u00e6", "\udc80"):
        assert bench.proving().opened(held, wrong, bench.now) is None
    assert bench.press(held, link).transaction.proofs


def test_a_newer_mail_makes_the_older_void(bench: Bench) -> None:
    """Only the newest code counts, and the older link opens nothing."""
    first = bench.mail(bench.login())
    code, link = bench.read(first)
    second = bench.mail(first)
    newer = bench.read(second)[0]
    with pytest.raises(CodeRefused):
        bench.code(second, code if code != newer else other(code))
    assert bench.proving().opened(second, link, bench.now) is None
    assert bench.code(second, newer).transaction.proofs


@pytest.mark.parametrize(
    ("owners", "addresses", "most"),
    [
        (["ann"], [f"n{each}@auh.rm.dk" for each in range(9)], 5),
        ([f"p{each}" for each in range(9)], [NURSE, "Nurse+1@auh.rm.dk"], 3),
    ],
)
def test_a_person_and_an_address_get_so_many_mails_an_hour(
    bench: Bench, owners: list[str], addresses: list[str], most: int
) -> None:
    """Five for a person, three for a mailbox however it is spelt; the next is refused before anything changes."""
    for each in range(most):
        held = bench.mail(bench.login(), owners[each % len(owners)], addresses[each % len(addresses)])
    before = bench.again(held)
    with pytest.raises(TooMany):
        bench.mail(held, owners[most % len(owners)], addresses[most % len(addresses)])
    assert bench.again(held) == before
    assert len(bench.mailbox.mails()) == most
    bench.now += timedelta(hours=1)
    assert bench.mail(bench.login(), owners[0], addresses[0]).transaction.mailing


def test_an_address_that_the_mail_server_does_not_know_is_said_and_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No code is under way, and whoever asks for address after address is stopped as one who mails."""

    def unknown(*_: object) -> None:
        raise RecipientRefused("RCPT answered 550")

    monkeypatch.setattr(Smtp, "address", unknown)
    held = bench.login()
    for each in range(5):
        with pytest.raises(AddressRefused) as refused:
            bench.mail(held, address=f"n{each}@auh.rm.dk")
        assert cause(refused) == "address_unreachable"
        held = bench.transactions.read(held.transaction.id, bench.now)
        assert held.transaction.mailing is None
    with pytest.raises(TooMany):
        bench.mail(held, address="n5@auh.rm.dk")


@pytest.mark.parametrize(("vary", "most"), [("address", 15), ("owner", 10)])
def test_a_person_and_an_address_get_so_many_mails_a_day(bench: Bench, vary: str, most: int) -> None:
    """Fifteen for a person, ten for a mailbox, however they are spread over the hours."""
    began = bench.now
    for each in range(most):
        bench.now = began + each * timedelta(hours=1)
        owner, address = ("ann", f"n{each}@auh.rm.dk") if vary == "address" else (f"p{each}", NURSE)
        bench.mail(bench.login(), owner, address)
    bench.now = began + most * timedelta(hours=1)
    with pytest.raises(TooMany):
        bench.mail(bench.login(), *(("ann", "new@auh.rm.dk") if vary == "address" else ("new", NURSE)))


def test_a_mail_server_that_is_down_leaves_the_login_as_it_was(bench: Bench) -> None:
    """No mailing stands, no mail is counted, and when it is up again the person goes on."""
    held, up, bench.port = bench.login(), bench.port, free_port()
    for _ in range(6):
        with pytest.raises(MailUnavailable):
            bench.mail(held)
        assert bench.again(held).mailing is None
    bench.port = up
    held = bench.mail(bench.transactions.read(held.transaction.id, bench.now))
    assert bench.code(held, bench.read(held)[0]).transaction.proofs


def test_a_mail_server_is_not_asked_all_day_whom_it_knows(bench: Bench) -> None:
    """Refusals are given back to the hour's and the day's count, but not without end."""
    bench.port = free_port()
    for _ in range(30):
        with pytest.raises(MailUnavailable):
            bench.mail(bench.login())
    with pytest.raises(TooMany):
        bench.mail(bench.login())


def test_a_domain_that_no_longer_counts_proves_nothing(bench: Bench) -> None:
    """The policy of the moment the code is typed decides."""
    held = bench.mail(bench.login())
    with pytest.raises(AddressRefused) as refused:
        bench.code(held, bench.read(held)[0], domains=DOMAINS[1:])
    assert cause(refused) == "address_other_domain"
    assert bench.again(held).proofs == bench.proving().remembered("ann", bench.now) == ()


def test_an_address_proves_one_person(bench: Bench) -> None:
    """A second person's right code proves nothing and makes a case; the first may prove it again."""
    for address in (NURSE, "Nurse@auh.rm.dk"):
        held = bench.mail(bench.login(), address=address)
        bench.code(held, bench.read(held)[0])
    held = bench.mail(bench.login(), "bo", "NURSE@auh.rm.dk")
    with pytest.raises(AddressTaken):
        bench.code(held, bench.read(held)[0], "bo")
    assert (bench.again(held).proofs, bench.again(held).mailing) == ((), None)
    assert bench.proving().remembered("bo", bench.now) == ()
    [(owner, mark)] = bench.desk.cases
    assert owner == "bo"
    assert NURSE not in mark


def test_an_address_is_free_again_when_its_proof_has_ended(bench: Bench) -> None:
    """Who has left does not keep it for ever."""
    held = bench.mail(bench.login())
    bench.code(held, bench.read(held)[0])
    bench.now += YEAR
    held = bench.mail(bench.login(), "bo")
    assert bench.code(held, bench.read(held)[0], "bo").transaction.proofs


def test_an_address_to_write_to_may_be_a_familys(bench: Bench) -> None:
    """Only proofs that make somebody something are one person's."""
    for owner in ("ann", "bo"):
        held = bench.mail(bench.login(), owner, "family@post.example", name="mail")
        assert bench.code(held, bench.read(held)[0], owner, domains=()).transaction.proofs
    assert bench.desk.cases == []


def test_a_person_may_go_on_without(bench: Bench) -> None:
    """Said in the transaction, for this login; a mail under way proves nothing any more."""
    held = bench.mail(bench.login())
    code = bench.read(held)[0]
    done = bench.proving().without(held, bench.now)
    assert done.transaction == bench.again(held)
    assert done.transaction.unproved
    with pytest.raises(CodeRefused):
        bench.code(done, code)


def test_nothing_secret_is_said_by_what_is_raised_or_shown(bench: Bench) -> None:
    """Neither address nor code nor link stands in an error or a repr."""
    held = bench.mail(bench.login())
    code, link = bench.read(held)
    with pytest.raises(CodeRefused) as refused:
        bench.code(held, other(code))
    spoken = [repr(held.transaction.mailing), str(refused.value), repr(refused.value)]
    assert not any(secret in said for said in spoken for secret in (code, other(code), link, NURSE))
