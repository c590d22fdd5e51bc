"""Tries at the lending machine the number and the PIN that a persona has after the walk."""

import re
import time
from collections.abc import Callable, Sequence
from typing import Final

from broker.core.errors import PinUnderWay
from broker.demo.check.http_browser import Browser
from broker.demo.library.sip2_client import BorrowerAtMachine, Machine, MachineFailed
from broker.demo.people.persona import Persona
from broker.demo.run.mail_server import Mailbox, ReceivedMail

_MAIL_WITHIN: Final = 60.0  # seconds
_SET_WITHIN: Final = 60.0
_LINK: Final = re.compile(r"http\S+/pin\?link=\S+")
# Every persona with a new borrower chooses this PIN; no birth date or number suggests it.
CHOSEN_PIN: Final = "7394"


def choose_pin(link: str) -> bool:
    """Choose a PIN behind a mailed link; False unless the broker says that it is set."""
    browser = Browser()
    until = time.monotonic() + _SET_WITHIN
    while time.monotonic() < until:
        browser.get(link)
        for form in browser.forms():
            if "link" in form.fields:
                browser.submit(form, do="choose", pin=CHOSEN_PIN, again=CHOSEN_PIN)
        if browser.mark() != ("pin", PinUnderWay.reason):
            return browser.mark() == ("pin", "set")
        time.sleep(0.5)  # the address of the register is just being written
    return False


def at_machine(
    machine: Machine,
    mailbox: Mailbox,
    person: Persona,
    *,
    made: bool,
    mails_before: int,
    choose: Callable[[str], bool] = choose_pin,
) -> str:
    """Return the machine's verdict: "valid", "refused", "silent", or "" for no PIN.

    A borrower who was ``made`` in the walk first chooses a PIN behind the link of the mail that
    came since then: "no mail" or "not set" where that fails. Any other types the PIN that they had.
    "valid" is a 64 with BL and CQ yes.
    """
    pin = person.pin
    if made:
        link = _find_link(mailbox, person, mails_before)
        if link is None:
            return "no mail"
        if not choose(link):
            return "not set"
        pin = CHOSEN_PIN
    if pin is None:
        return ""
    try:
        borrower = machine.borrower(person.types, pin)
    except MachineFailed:
        return "silent"
    return _verdict(borrower)


def _verdict(borrower: BorrowerAtMachine) -> str:
    return "valid" if borrower.is_proven else "refused"


def _find_link(mailbox: Mailbox, person: Persona, mails_before: int) -> str | None:
    until = time.monotonic() + _MAIL_WITHIN
    while time.monotonic() < until:
        mails = mailbox.mails()
        link = _link_in(mails[: len(mails) - mails_before], person)
        if link is not None:
            return link
        time.sleep(0.05)
    return None


def _link_in(mails: Sequence[ReceivedMail], person: Persona) -> str | None:
    """Return the link of the first mail to one of the persona's addresses that holds one."""
    for mail in mails:
        found = _LINK.search(mail.text)
        if found and person.addresses & set(mail.recipients):
            return found[0]
    return None
