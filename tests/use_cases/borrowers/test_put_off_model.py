"""Mails that are put off, two workers, a mail server that hangs and loses its answers, and deaths at any call."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import ClassVar, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.borrowers.wanted_borrower import WishedField
from broker.core.errors import MailUnavailable
from broker.use_cases.borrowers.put_off_pins import PutOffPins
from broker.use_cases.borrowers.wishes_after_outage import WishesAfterOutage
from tests.plugins.drawn import drawn
from tests.use_cases.conftest import REST, World

CPRS: Final = ("0101990000", "0201990000")
CALLS: Final = ("claim", "lease", "find", "read", "create", "RCPT", "set_pin", "check_pin", "DATA", "put")
SERVERS: Final = ((True, True), (False, True), (False, False))  # known to be silent; silent
PERSONS: Final = st.integers(0, len(CPRS) - 1)


class Death(BaseException):
    """The process ends at a call."""


def lost() -> None:
    """Take a mail, and lose the answer."""
    raise MailUnavailable("DATA: TimeoutError")


def dies() -> None:
    """Die."""
    raise Death


class PutOffMails(RuleBasedStateMachine):
    """The loops of one process, in which a step of one may come between any two calls of the other."""

    empty: ClassVar[Path]

    @initialize()
    def open(self) -> None:
        """Begin with one person whose PIN was put off."""
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "broker.db"
        copy(self.empty, path)
        self.world = World(path)
        self.silent = False
        self.doubts = 0
        self.came: set[str] = set()
        self.begin_process()
        self.comes(0, "STUD")
        self.silent = True
        self.enrol()
        self.silent = False

    def begin_process(self) -> None:
        """Begin a process, which remembers what the one before has put off."""
        ports = replace(self.world.ports, puts_off_mails=lambda: self.silent)
        enrolments = replace(self.world.live, ports=ports)
        self.wishes = WishesAfterOutage(enrolments.step, self.world.records, ports.now)
        self.put_off = PutOffPins(self.world.ports, lambda: self.silent, self.world.wake)
        self.put_off.recall()

    def enrol(self) -> None:
        """Let the worker of wishes do one thing."""
        enrolment = self.wishes.step()
        if enrolment is not None:
            self.put_off.note(enrolment)

    def mail(self) -> None:
        """Let the worker of mails do one thing."""
        self.put_off.step()

    @rule(person=PERSONS, category=st.sampled_from(["STUD", "PRIV"]))
    def comes(self, person: int, category: str) -> None:
        """Let somebody log in, who may come with another wish than before."""
        address = f"{person}@example.org"
        fields = (WishedField("surname", "Prøvesen", "always"), WishedField("email", address, "create"))
        wish = self.world.wish(cpr=CPRS[person], category=category, fields=fields, pin_to=address)
        self.world.live.want(wish)
        self.came.add(CPRS[person])

    @rule(server=st.sampled_from(SERVERS))
    def turns(self, server: tuple[bool, bool]) -> None:
        """Let the mail server hang, or answer; the loops may not have noticed yet."""
        self.silent, self.world.post.down = server

    @rule(mails=st.booleans())
    def works(self, mails: bool) -> None:
        """Let a worker do one thing."""
        self.worked(mails)

    @rule(seconds=st.sampled_from([1, 30, 900]))
    def passes(self, seconds: int) -> None:
        """Let time pass: within a call, past a lease, past the pause of what was put off."""
        self.world.now += timedelta(seconds=seconds)

    @rule(mails=st.booleans(), call=st.sampled_from(CALLS), other_mails=st.booleans(), silent=st.booleans())
    def works_while_another_does(self, mails: bool, call: str, other_mails: bool, silent: bool) -> None:
        """Let another loop do one thing before a call of a worker; what the loops know may change then."""

        def another() -> None:
            self.silent = silent
            (self.mail if other_mails else self.enrol)()

        self.world.hooks.before[call] = another
        self.worked(mails)

    @rule(mails=st.booleans())
    def loses_the_answer(self, mails: bool) -> None:
        """Let the mail server take a mail and hang."""
        self.interrupted(mails, "DATA", lost)

    @rule(mails=st.booleans(), call=st.sampled_from(CALLS))
    def dies_after(self, mails: bool, call: str) -> None:
        """Let the process die after a call, and another begin."""
        with suppress(Death):
            self.interrupted(mails, call, dies)
            return
        self.world.hooks.before.clear()
        self.begin_process()

    def interrupted(self, mails: bool, call: str, how: Callable[[], None]) -> None:
        """Let a worker do one thing, and something happen after a call; whether the mail was taken nobody knows."""
        before = len(self.world.post.sent)
        self.world.hooks.after[call] = how
        try:
            self.worked(mails)
        finally:
            self.doubts += len(self.world.post.sent) - before
            self.world.hooks.after.clear()

    def worked(self, mails: bool) -> None:
        """Let a worker do one thing."""
        try:
            (self.mail if mails else self.enrol)()
        finally:
            self.world.hooks.before.clear()

    @invariant()
    def the_pin_that_was_mailed_last_works(self) -> None:
        """Whatever is owed still: nobody holds a letter whose PIN was replaced by one that is on its way."""
        pins = self.world.library.pins
        for number, borrower in self.world.library.borrowers.items():
            mailed = [sent.pin for sent in self.world.post.sent if sent.to == self.address(borrower.fields)]
            assert not mailed or mailed[-1] == pins[number]

    @invariant()
    def one_person_is_one_borrower(self) -> None:
        """However often it is tried."""
        assert len(set(self.world.library.cprs.values())) == len(self.world.library.borrowers)

    @staticmethod
    def address(fields: object) -> str:
        """Give the address of a borrower."""
        assert isinstance(fields, dict)
        return str(fields["email"])

    def teardown(self) -> None:
        """Once it answers, and all pauses have ended, everybody has the mail, and one only but for the doubts."""
        self.turns((False, False))
        for _ in range(3):
            for _ in range(20):
                self.enrol()
                self.mail()
            self.world.now += REST
        for _ in range(3):
            self.world.now += timedelta(hours=3)
            for _ in range(20):
                self.enrol()
        for cpr in self.came:
            stored = self.world.live.stored(cpr)
            assert stored is not None
            assert (stored.state, stored.pin_owed, bool(stored.pin_mailed)) == (EnrolmentState.DONE, False, True)
        assert len(self.came) <= len(self.world.post.sent) <= len(self.came) + self.doubts
        for connection in self.world.store._connections.idle:
            connection.close()
        self.folder.cleanup()


def test_no_interleaving_loses_a_pin_or_mails_two_that_differ(empty_store: Path) -> None:
    """Whatever is put off, hangs, is lost, or dies between two calls of two loops."""
    PutOffMails.empty = empty_store
    run_state_machine_as_test(
        PutOffMails, settings=settings(max_examples=drawn(200), stateful_step_count=20, deadline=None)
    )
