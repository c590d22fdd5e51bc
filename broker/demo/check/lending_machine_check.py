"""Checks at the lending machine that a persona's number and PIN work after the walk."""

import re
import time
from typing import Final

from broker.core.errors import PinUnderWay
from broker.demo.check.http_browser import Browser
from broker.demo.library.sip2_client import Machine, MachineFailed
from broker.demo.people.persona import Persona
from broker.demo.run.mail_server import Mailbox

_SET_WITHIN: Final = 60.0  # seconds
_LINK: Final = re.compile(r"(http\S+/pin\?link=\S+)")
# Every persona with a new borrower chooses this PIN; no birth date or number suggests it.
CHOSEN_PIN: Final = "7394"


def choose_pin(link: str) -> bool:
    """Choose a PIN on the page of a mailed link. Return whether the broker confirms it."""
    browser = Browser()
    until = time.monotonic() + _SET_WITHIN
    while time.monotonic() < until:
        browser.get(link)
        for form in browser.forms():
            if "link" in form.fields:
                browser.submit(form, do="choose", pin=CHOSEN_PIN, again=CHOSEN_PIN)
        if browser.mark() != ("pin", PinUnderWay.reason):
            return browser.mark() == ("pin", "set")
        time.sleep(0.5)  # the worker is writing the register's address to this borrower
    return False


def check_pin_at_machine(
    machine: Machine, mailbox: Mailbox, person: Persona, *, is_new: bool, mails_before: int
) -> str:
    """Return the machine's verdict: "valid", "refused", "silent", or "" without a PIN.

    A borrower that ``is_new`` first opens the link of a mail that arrived during the walk and
    chooses a PIN; the verdict is "no mail" or "not set" if that fails. An older borrower types the
    PIN on file. "valid" means that the SIP2 answer (64) has BL and CQ set to Y.
    """
    pin = person.pin
    if is_new:
        link = mailbox.wait_for(_LINK, person.addresses, mails_before)
        if link is None:
            return "no mail"
        if not choose_pin(link):
            return "not set"
        pin = CHOSEN_PIN
    if pin is None:
        return ""
    try:
        borrower = machine.borrower(person.typed_number, pin)
    except MachineFailed:
        return "silent"
    return "valid" if borrower.is_proven else "refused"
