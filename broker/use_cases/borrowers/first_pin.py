"""The first PIN of a borrower that we made: set, proved, and mailed to the address of the wish."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.enrolment import Enrolment
from broker.core.borrowers.pin_record import POINTER_AFTER
from broker.core.borrowers.pins import suggested_by
from broker.core.entities import Names
from broker.core.errors import MailPutOff
from broker.core.letters import PinLetter, PinPointerLetter
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Letter
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts
from broker.use_cases.borrowers.enrolment_records import CALL
from broker.use_cases.borrowers.pin_setting import PinSetting

_MAIL: Final = timedelta(seconds=45)  # from RCPT to DATA, with the calls between them


def suggested_pins(hmacs: LookupHmacs, person: str, cpr: str) -> Names:
    """Return the pseudonyms of the PINs that a person's own number suggests.

    They are avoided after the number itself is erased.
    """
    suggested = sorted(suggested_by(cpr))
    return tuple(_pseudonym(hmacs, person, pin) for pin in suggested)


def _pseudonym(hmacs: LookupHmacs, person: str, pin: str) -> str:
    return hmacs.of("pin", person, pin)


@dataclass(frozen=True, slots=True)
class FirstPin:
    """The PIN mail that ``enrolment`` owes; ``hold`` renews the lease beyond a deadline."""

    enrolment: Enrolment
    ports: EnrolmentPorts
    hold: Callable[[datetime], None]

    def mail(self) -> bool:
        """Mail the PIN, or after a day where to make one.

        False where nobody is owed one any more: the borrower is gone or another's, or there is no
        address. LibraryUnavailable, MailUnavailable and their subclasses.
        """
        number = self.enrolment.number
        ports = self.ports
        if ports.puts_off_mails():
            # Before the library system is asked: hundreds may be put off in a row.
            raise MailPutOff("no mail is begun now")
        now = ports.now()
        self.hold(now + CALL)
        borrower = ports.library.read(number, now + CALL) if number else None
        if borrower is None or borrower.mark != self.enrolment.id:
            return False
        wish = self.enrolment.wish
        if ports.mail is None or wish is None or wish.pin_to is None:
            return False
        ends = ports.now() + _MAIL
        self.hold(ends)
        with closing(ports.mail.address(wish.pin_to, ends)) as letter:
            if self.is_late():
                letter.send(*ports.letters.worded(PinPointerLetter(), wish.language))
            else:
                self._send(letter, wish.language, ends, borrower.card)
        return True

    def is_late(self) -> bool:
        """Return whether a day has passed: the person may have made a PIN, and keeps it."""
        tried = self.enrolment.pin_tried
        return tried is not None and self.ports.now() - tried >= POINTER_AFTER

    def _send(self, letter: Letter, language: str, ends: datetime, card: str | None) -> None:
        ports = self.ports
        enrolment = self.enrolment

        def avoids(drawn: str) -> bool:
            return _pseudonym(ports.hmacs, enrolment.person, drawn) in enrolment.pin_avoids

        def send(pin: str) -> None:
            letter.send(*ports.letters.worded(PinLetter(pin), language))

        store = ports.records.store
        setting = PinSetting(store, ports.hmacs, ports.library, ports.now, ports.trail)
        setting.mail(enrolment.number or "", avoids, send, ends, card=card, hold=self.hold)
