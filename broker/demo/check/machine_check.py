"""Tries at the lending machine the number and the PIN that a persona has after the walk."""

import re
import time
from collections.abc import Sequence
from typing import Final

from broker.demo.library.sip2_client import BorrowerAtMachine, Machine, MachineFailed
from broker.demo.people.persona import Persona
from broker.demo.run.mail_server import Mailbox, ReceivedMail

_MAIL_WITHIN: Final = 60.0  # seconds
_PIN: Final = re.compile(r": ([0-9]{4})$", re.MULTILINE)


def at_machine(
    machine: Machine, mailbox: Mailbox, person: Persona, *, made: bool, mails_before: int
) -> str:
    """Return the machine's verdict: "valid", "refused", "silent", "no mail", or "" for no PIN.

    A borrower who was ``made`` in the walk types the PIN of the mail that came since then, any
    other the PIN that they had. "valid" is a 64 with BL and CQ yes.
    """
    pin = person.pin
    if made:
        pin = _mailed_pin(mailbox, person, mails_before)
        if pin is None:
            return "no mail"
    if pin is None:
        return ""
    try:
        borrower = machine.borrower(person.types, pin)
    except MachineFailed:
        return "silent"
    return _verdict(borrower)


def _verdict(borrower: BorrowerAtMachine) -> str:
    return "valid" if borrower.is_proven else "refused"


def _mailed_pin(mailbox: Mailbox, person: Persona, mails_before: int) -> str | None:
    until = time.monotonic() + _MAIL_WITHIN
    while time.monotonic() < until:
        mails = mailbox.mails()
        pin = _pin_in(mails[: len(mails) - mails_before], person)
        if pin is not None:
            return pin
        time.sleep(0.05)
    return None


def _pin_in(mails: Sequence[ReceivedMail], person: Persona) -> str | None:
    """Return the PIN of the first mail to one of the persona's addresses that holds one."""
    for mail in mails:
        found = _PIN.search(mail.text)
        if found and person.addresses & set(mail.recipients):
            return found[1]
    return None
