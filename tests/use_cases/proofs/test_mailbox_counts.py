"""How long a mailed code is good, how often it may be tried, and what of mails and tries stays counted."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from broker.adapters.mail.letter_texts import LetterTexts
from broker.core.entities import Text
from broker.core.errors import (
    AddressRefused,
    AddressTaken,
    BrokerError,
    CodeRefused,
    MailUnavailable,
    RecipientRefused,
    TooMany,
)
from broker.core.identity.mailbox_proofs import Mailing, Proved
from broker.core.login.transaction import AuthnRequest, Person, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.proofs.mailbox_proof import MailboxProof
from broker.use_cases.transactions import Held, Transactions

INSTANT: Final = timedelta(microseconds=1)
HALF_AN_HOUR, HOUR, DAY, YEAR = timedelta(minutes=30), timedelta(hours=1), timedelta(days=1), timedelta(days=365)
NURSE: Final = "nurse@auh.rm.dk"
DOMAINS: Final = ("auh.rm.dk",)


class Desk:
    """The cases that staff would see."""

    def __init__(self) -> None:
        """See none yet."""
        self.cases: list[str] = []

    def taken(self, owner: str, address: str) -> str:
        """Note whose."""
        assert "@" not in address
        self.cases.append(owner)
        return f"case {len(self.cases)}"


class Bench:
    """The proofs of one worker, and a person who logs in."""

    def __init__(self, world: Any) -> None:
        """Open it."""
        self.world, self.desk = world, Desk()
        letters = LetterTexts(Text("AU Library", "AU Library"), "https://login.example/pin", "the desk")
        self.proofs = MailboxProof(world.store, LookupHmacs("k1", b"k" * 32), world.post, letters, self.desk)

    def login(self, lasts: timedelta = HALF_AN_HOUR) -> Held:
        """Begin a login that has so long to live."""
        now = self.world.now
        request = AuthnRequest("_1", "my-loans", "https://loans.example", "acs")
        begun = Transaction(secrets.token_hex(16), "BCDFGHJK", now, now + lasts, request, arrival="a")
        return Transactions(self.world.store).add(replace(begun, authenticated=now), now)

    def mail(
        self,
        held: Held | None = None,
        owner: str = "ann",
        address: str = NURSE,
        *,
        name: str = "kaldemail",
        lasts: timedelta = HALF_AN_HOUR,
    ) -> Held:
        """Have a code mailed."""
        return self.proofs.mail_to(
            held or self.login(),
            owner,
            name,
            address,
            asker="Ann Holm",
            language="en",
            url=lambda link: f"https://login.example/{link}",
            lasts=lasts,
            now=self.world.now,
        )

    def code(self, held: Held, code: str, owner: str = "ann", **how: Any) -> Held:
        """Type a code."""
        given = {"domains": DOMAINS, "remembered_for": YEAR, **how}
        return self.proofs.try_code(held, code, owner, self.world.now, **given)

    def press(self, held: Held, link: str, owner: str = "ann") -> Held:
        """Press the button of a link."""
        return self.proofs.press(held, link, owner, self.world.now, domains=DOMAINS, remembered_for=YEAR)


@pytest.fixture
def bench(world: Any) -> Bench:
    """Give the proofs of one worker."""
    return Bench(world)


def mailing(held: Held) -> Mailing:
    """Give the mailing that a login waits for."""
    found = held.transaction.mailing
    assert found
    return found


def wrong(held: Held) -> str:
    """Give a code that is not the mailed one."""
    return f"{(int(mailing(held).code) + 1) % 10**6:06}"


def outcome(attempt: Callable[[], object]) -> str:
    """Give how an attempt ended: "done", or what refused it."""
    try:
        attempt()
    except (CodeRefused, AddressRefused) as error:
        return error.cause
    except BrokerError as error:
        return type(error).__name__
    return "done"


@pytest.mark.parametrize("by", ["code", "link"])
@pytest.mark.parametrize(
    ("after", "ends"),
    [(HALF_AN_HOUR - INSTANT, "done"), (HALF_AN_HOUR, "code_expired")],
    ids=["before its end", "at its end"],
)
def test_code_and_link_end_together(bench: Bench, by: str, after: timedelta, ends: str) -> None:
    """At the moment in which they end they prove nothing, and the page of the link shows no button."""
    held = bench.mail(bench.login(HOUR))
    code, link = mailing(held).code, mailing(held).link
    bench.world.now += after
    assert (bench.proofs.opened(held, link, bench.world.now) is not None) is (ends == "done")
    assert outcome(lambda: bench.code(held, code) if by == "code" else bench.press(held, link)) == ends


@pytest.mark.parametrize(
    ("login", "lasts", "minutes"),
    [(HOUR, HALF_AN_HOUR, 30), (timedelta(minutes=7), HALF_AN_HOUR, 7), (timedelta(seconds=9), HALF_AN_HOUR, 1)],
)
def test_no_code_outlives_its_login(bench: Bench, login: timedelta, lasts: timedelta, minutes: int) -> None:
    """The letter promises no more minutes than there are, and never none."""
    held = bench.mail(bench.login(login), lasts=lasts)
    assert mailing(held).until == bench.world.now + min(login, lasts)
    [sent] = bench.world.post.sent
    assert f"{minutes} minute" in sent.text


def test_a_link_opens_its_own_mailing(bench: Bench) -> None:
    """Another's, and that of an older mail, open nothing; to open one uses nothing up."""
    held = bench.mail()
    first = mailing(held)
    again = bench.mail(held)
    now = bench.world.now
    assert bench.proofs.opened(again, first.link, now) is None
    assert bench.proofs.opened(bench.login(), first.link, now) is None
    assert bench.proofs.opened(again, mailing(again).link, now) == mailing(again)
    assert outcome(lambda: bench.press(again, first.link)) == "code_wrong"
    assert outcome(lambda: bench.press(again, mailing(again).link)) == "done"


def test_five_tries_of_a_code(bench: Bench) -> None:
    """Wrong codes and wrong links together; the sixth is not looked at, though it were right."""
    held = bench.mail()
    tries = [outcome(lambda: bench.code(held, wrong(held))) for _ in range(3)]
    tries += [outcome(lambda: bench.press(held, "0" * 32)) for _ in range(2)]
    assert tries == ["code_wrong"] * 5
    assert outcome(lambda: bench.code(held, mailing(held).code)) == "code_used_up"
    assert outcome(lambda: bench.press(held, mailing(held).link)) == "code_used_up"


def test_the_fifth_try_may_be_right(bench: Bench) -> None:
    """What is no six digits is none."""
    held = bench.mail()
    for _ in range(4):
        assert outcome(lambda: bench.code(held, wrong(held))) == "code_wrong"
        assert outcome(lambda: bench.code(held, "12345a")) == "code_malformed"
        assert outcome(lambda: bench.code(held, "12345")) == "code_malformed"
    assert outcome(lambda: bench.code(held, mailing(held).code)) == "done"


def test_fifteen_wrong_codes_a_day(bench: Bench) -> None:
    """Of all the mails of one person, until a day has passed; what is right is not counted, nor another's."""
    for _ in range(3):
        held = bench.mail()
        for _ in range(4):
            assert outcome(lambda held=held: bench.code(held, wrong(held))) == "code_wrong"  # type: ignore[misc]
        assert outcome(lambda held=held: bench.code(held, mailing(held).code)) == "done"  # type: ignore[misc]
        bench.world.now += HOUR
    held = bench.mail()
    for _ in range(3):
        assert outcome(lambda: bench.code(held, wrong(held))) == "code_wrong"
    assert outcome(lambda: bench.code(held, mailing(held).code)) == "TooMany"
    bos = bench.mail(owner="bo", address="bo@auh.rm.dk")
    assert outcome(lambda: bench.code(bos, mailing(bos).code, "bo")) == "done"
    bench.world.now += DAY
    fresh = bench.mail()
    assert outcome(lambda: bench.code(fresh, mailing(fresh).code)) == "done"


@pytest.mark.parametrize(
    ("mailed", "within", "most"),
    [
        (lambda bench, _: bench.mail(), HOUR, 3),  # to one mailbox
        (lambda bench, at: bench.mail(address=f"n{at}@auh.rm.dk"), HOUR, 5),  # of one person
        (lambda bench, at: bench.mail(address=NURSE.upper() if at % 2 else NURSE), HOUR, 3),
    ],
    ids=["one mailbox", "one person", "one mailbox in several spellings"],
)
def test_so_many_mails_an_hour(
    bench: Bench, mailed: Callable[[Bench, int], Held], within: timedelta, most: int
) -> None:
    """A mailbox is not flooded, and a person asks not for ever; when the hour is over they may again."""
    assert [outcome(lambda at=at: mailed(bench, at)) for at in range(most + 2)] == [  # type: ignore[misc]
        *["done"] * most,
        *["TooMany"] * 2,
    ]
    assert len(bench.world.post.sent) == most
    bench.world.now += within - INSTANT
    assert outcome(lambda: mailed(bench, 0)) == "TooMany"
    bench.world.now += INSTANT
    assert outcome(lambda: mailed(bench, 0)) == "done"


@pytest.mark.parametrize(("to_one_mailbox", "most"), [(True, 10), (False, 15)])
def test_so_many_mails_a_day(bench: Bench, *, to_one_mailbox: bool, most: int) -> None:
    """However they are spread over it."""
    sent = 0
    for at in range(20):
        if at % 3 == 0:
            bench.world.now += HOUR
        owner, address = (f"owner {at}", NURSE) if to_one_mailbox else ("ann", f"n{at}@auh.rm.dk")
        sent += outcome(lambda o=owner, a=address: bench.mail(owner=o, address=a)) == "done"  # type: ignore[misc]
    assert sent == most


def test_a_mail_that_is_refused_for_one_count_is_in_no_other(bench: Bench) -> None:
    """Who asked for a flooded mailbox has all their mails left."""
    for owner in ("bo", "carl", "dan"):
        bench.mail(owner=owner)
    for _ in range(6):
        assert outcome(bench.mail) == "TooMany"
    others = [outcome(lambda at=at: bench.mail(address=f"n{at}@auh.rm.dk")) for at in range(6)]  # type: ignore[misc]
    assert others == ["done"] * 5 + ["TooMany"]


def test_a_mail_that_no_server_took_is_not_counted_and_leaves_no_code(bench: Bench) -> None:
    """It is the server's fault and not the person's."""
    held = bench.login()
    for _ in range(6):
        bench.world.post.down = True
        assert outcome(lambda: bench.mail(held)) == "MailUnavailable"
        bench.world.post.down = False
    transactions = Transactions(bench.world.store)
    assert transactions.read(held.transaction.id, bench.world.now).transaction.mailing is None
    assert [outcome(bench.mail) for _ in range(4)] == ["done"] * 3 + ["TooMany"]


def test_an_address_that_the_server_does_not_know_is_counted(bench: Bench) -> None:
    """Nobody asks it through us whose addresses it has."""
    held = bench.login()

    def refuse() -> None:
        raise RecipientRefused("no such mailbox")

    for expected in ["address_unreachable"] * 3 + ["TooMany"]:
        bench.world.hooks.before["RCPT"] = refuse
        assert outcome(lambda: bench.mail(held)) == expected
    transactions = Transactions(bench.world.store)
    assert transactions.read(held.transaction.id, bench.world.now).transaction.mailing is None


def test_a_server_that_is_down_is_not_asked_for_ever(bench: Bench) -> None:
    """Thirty tries a day and person are counted whatever came of them."""
    bench.world.post.down = True
    outcomes = [outcome(lambda at=at: bench.mail(address=f"n{at}@auh.rm.dk")) for at in range(32)]  # type: ignore[misc]
    assert outcomes == ["MailUnavailable"] * 30 + ["TooMany"] * 2
    assert outcome(lambda: bench.mail(owner="bo")) == "MailUnavailable"


def test_a_proof_is_added_beside_those_of_other_names(bench: Bench) -> None:
    """In place of one of its own name; the person is looked up again, for more is known now."""
    now = bench.world.now
    before = tuple(Proved(name, "old@auh.rm.dk", now, now + DAY) for name in ("kaldemail", "card"))
    held = Transactions(bench.world.store).change(
        bench.login(), lambda found: replace(found, proofs=before, person=Person("p")), now
    )
    held = bench.mail(held)
    done = bench.code(held, mailing(held).code).transaction
    assert [(proof.name, proof.address) for proof in done.proofs] == [("card", "old@auh.rm.dk"), ("kaldemail", NURSE)]
    assert (done.person, done.mailing) == (None, None)
    assert done == Transactions(bench.world.store).again(held, now).transaction


def test_a_mail_server_has_fifteen_seconds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person waits for it."""
    deadlines: list[timedelta] = []
    address = bench.world.post.address

    def noted(recipient: str, deadline: datetime) -> Any:
        deadlines.append(deadline - bench.world.now)
        return address(recipient, deadline)

    monkeypatch.setattr(bench.world.post, "address", noted)
    bench.mail()
    assert deadlines == [timedelta(seconds=15)]


def test_an_address_proves_one_person(bench: Bench) -> None:
    """A second one's right code uses the mailing up and becomes a case; to write to, it may be both's."""
    anns = bench.mail()
    assert outcome(lambda: bench.code(anns, mailing(anns).code)) == "done"
    bos = bench.mail(owner="bo", address="NURSE@auh.rm.dk")
    with pytest.raises(AddressTaken):
        bench.code(bos, mailing(bos).code, "bo")
    assert bench.desk.cases == ["bo"]
    assert bench.proofs.remembered("bo", bench.world.now) == ()
    present = Transactions(bench.world.store).again(bos, bench.world.now)
    assert (present.transaction.mailing, present.transaction.proofs) == (None, ())
    bench.world.now += HOUR
    for owner in ("ann", "bo"):
        written_to = bench.mail(owner=owner, name="mail")
        assert bench.code(written_to, mailing(written_to).code, owner).transaction.proofs
    assert bench.desk.cases == ["bo"]


def test_a_proof_is_remembered_until_its_end_and_its_address_then_free(bench: Bench) -> None:
    """A moment before it, it is its person's alone."""
    held = bench.mail()
    done = bench.code(held, mailing(held).code)
    [proved] = done.transaction.proofs
    assert (proved.at, proved.until) == (bench.world.now, bench.world.now + YEAR)
    bench.world.now += YEAR - INSTANT
    assert bench.proofs.remembered("ann", bench.world.now) == (proved,)
    bos = bench.mail(owner="bo")
    bench.world.now += INSTANT
    assert bench.proofs.remembered("ann", bench.world.now) == ()
    assert outcome(lambda: bench.code(bos, mailing(bos).code, "bo")) == "done"


def test_a_domain_that_counts_no_more_proves_nothing(bench: Bench) -> None:
    """Though the code is right: policies may have changed since the mail."""
    held = bench.mail()
    assert outcome(lambda: bench.code(held, mailing(held).code, domains=("ps.rm.dk",))) == "address_other_domain"
    assert bench.proofs.remembered("ann", bench.world.now) == ()


def test_a_mailing_is_good_once(bench: Bench) -> None:
    """By its code or its link, and for whoever of two submits came first."""
    held = bench.mail()
    bench.code(held, mailing(held).code)
    assert outcome(lambda: bench.press(held, mailing(held).link)) == "code_none"
    assert outcome(lambda: bench.code(bench.login(), "123456")) == "code_none"


def test_who_goes_on_without_a_proof_has_no_mailing_left(bench: Bench) -> None:
    """The login notes that it goes on without, and its code proves nothing any more."""
    held = bench.mail()
    done = bench.proofs.without(held, bench.world.now)
    assert done.transaction.unproved
    assert outcome(lambda: bench.code(done, mailing(held).code)) == "code_none"


def test_a_failed_mail_leaves_a_newer_one_under_way(bench: Bench) -> None:
    """Of two tabs the one whose mail came through has a code that works."""
    held = bench.login()
    newer: list[Held] = []

    def other_tab_and_fail() -> None:
        newer.append(bench.mail(held, address="ann@auh.rm.dk"))
        raise MailUnavailable("down")

    bench.world.hooks.before["RCPT"] = other_tab_and_fail
    with pytest.raises(MailUnavailable):
        bench.mail(held)
    present = Transactions(bench.world.store).again(held, bench.world.now)
    assert present.transaction.mailing == mailing(newer[0])


def test_a_mail_that_is_refused_writes_nothing(bench: Bench) -> None:
    """The code of the mail before still works."""
    held = bench.login()
    for _ in range(3):
        held = bench.mail(held)
    with pytest.raises(TooMany):
        bench.mail(held)
    assert outcome(lambda: bench.code(held, mailing(held).code)) == "done"
