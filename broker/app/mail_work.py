"""The mails of ``broker work``, sent beside the wishes: one that hangs holds up no account."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Final

from broker.app.assembly import Parts
from broker.app.mail_turns import MailSilence, MailTurns, WatchedMail
from broker.core.borrowers.enrolment import Enrolment
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts
from broker.use_cases.borrowers.enrolments import Enrolments
from broker.use_cases.borrowers.put_off_pins import PutOffPins

# Half of the loops that make accounts: twenty a second, each of which takes a second and a half.
_MOST_AT_ONCE: Final = 32
# Seconds that letters of another machine may lie.
IDLE: Final = (2.0, *(30.0,) * 7)
Step = Callable[[], object]


@dataclass(slots=True)
class MailWork:
    """The mails over one configuration: which are put off, and the steps of those who send them."""

    parts: Parts
    wake: Event
    silence: MailSilence = field(init=False)
    turns: MailTurns = field(init=False)
    put_off: PutOffPins = field(init=False)
    _is_recalled: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Find the mail server neither silent nor at work."""
        self.silence = MailSilence(self.parts.tell)
        self.turns = MailTurns(self.silence, _MOST_AT_ONCE)
        self.put_off = PutOffPins(self._ports(None), self.silence.is_silent, self.wake)

    def enrolments(self) -> Enrolments:
        """Return the enrolments whose PINs are mailed at once, or put off."""
        return replace(self.parts.enrolments, ports=self._ports(self.turns))

    def noted(self, step: Callable[[], Enrolment | None]) -> Enrolment | None:
        """Carry out a wish, and remember its PIN if that was put off."""
        enrolment = step()
        if enrolment is not None:
            self.put_off.note(enrolment)
        return enrolment

    def steps(self, number: int) -> Iterator[Step]:
        """Yield the steps of the loop of this number: only the first tries a server that is silent.

        Letters that wait meanwhile stay as they are: each is due, and none has failed.
        """
        rests = self.silence.rests if number == 0 else self.silence.is_silent
        if self.parts.enrolments.mode == "live":
            if number == 0:
                yield self._recall
            yield _unless(rests, self.put_off.step)
        outbox = self.parts.outbox
        if outbox.mail is not None:
            outbox = replace(outbox, mail=WatchedMail(outbox.mail, self.silence))
        yield _unless(rests, outbox.step)
        renewal = self.parts.pin_renewal
        renewal = replace(renewal, mail=WatchedMail(renewal.mail, self.silence))
        yield _unless(rests, renewal.step)

    def _recall(self) -> None:
        if not self._is_recalled:
            self.put_off.recall()
            self._is_recalled = True

    def _ports(self, turns: MailTurns | None) -> EnrolmentPorts:
        ports = self.parts.enrolments.ports
        if ports.mail is None:
            return ports
        watched = replace(ports, mail=WatchedMail(ports.mail, self.silence, turns))
        return replace(watched, puts_off_mails=turns.none_left) if turns else watched


def _unless(rests: Callable[[], bool], step: Step) -> Step:
    """Return the step, done while the mail server does not rest."""
    return lambda: None if rests() else step()
