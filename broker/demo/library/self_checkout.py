"""The simulated library's lending machine, and the page where borrowers edit their profile."""

import re
from collections.abc import Mapping
from typing import Final

from flask import Flask, render_template, request

from broker.demo.demo_app import say
from broker.demo.koha.loans import BOOKS, CONTACTS, Account, Circulation
from broker.demo.library.sip2_client import Machine, MachineFailed

_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_PIN: Final = re.compile(r"[0-9]{4}")
_LONGEST: Final = 200

ViewResultOfDemo = tuple[str, int]


def serve(app: Flask, machine: Machine, desk: Circulation) -> None:
    """Add ``/machine`` and ``/profile`` to the library.

    Both check number and PIN over SIP2, as a machine does. The profile is saved at the ``desk``,
    because SIP2 cannot change borrowers.
    """

    @app.get("/machine")
    def books() -> str:
        return render_template("machine.html", books=BOOKS)

    @app.post("/machine")
    def lend() -> ViewResultOfDemo:
        return _lend(machine)

    @app.get("/profile")
    def profile() -> str:
        return render_template("profile.html")

    @app.post("/profile")
    def edit() -> ViewResultOfDemo:
        return _edit(machine, desk)

    @app.errorhandler(MachineFailed)
    def report_lost_connection(_: MachineFailed) -> ViewResultOfDemo:
        wrong = say(
            "No connection to the library system just now.",
            "Ingen forbindelse til bibliotekssystemet lige nu.",
        )
        return render_template("machine.html", books=BOOKS, wrong=wrong), 503


def _lend(machine: Machine) -> ViewResultOfDemo:
    number, pin, book = _read_number(), request.form.get("pin", ""), request.form.get("book", "")
    if book in BOOKS:
        borrower, is_lent = machine.lend(number, pin, book)
    else:
        borrower, is_lent = machine.borrower(number, pin), False
    if not borrower.is_proven:
        page = render_template(
            "machine.html", books=BOOKS, wrong=_unproven(), number=number, chosen=book
        )
        return page, 422
    return render_template(
        "machine.html",
        books=BOOKS,
        borrower=borrower,
        lent=book if is_lent else "",
        held=book in borrower.loans,
        asked=book in BOOKS,
    ), 200


def _edit(machine: Machine, desk: Circulation) -> ViewResultOfDemo:
    # Every form contains number and PIN: this page has no session.
    account = _account(machine, desk)
    wanted = {name: request.form[name].strip() for name in CONTACTS if name in request.form}
    if account is None:
        return render_template("profile.html", values=wanted, wrong=_unproven()), 422
    if not wanted:
        return render_template("profile.html", values=account.contacts), 200
    pin, again = request.form.get("new_pin", ""), request.form.get("again", "")
    wrong = _fault(wanted, pin, again)
    if wrong:
        return render_template("profile.html", values=wanted, wrong=wrong), 422
    desk.edit(account.number, wanted, pin)
    return render_template("profile.html", values=wanted, saved=True), 200


def _account(machine: Machine, desk: Circulation) -> Account | None:
    """Return the borrower with the number and PIN of the form, or None."""
    number = _read_number()
    if not machine.borrower(number, request.form.get("pin", "")).is_proven:
        return None
    return desk.find_borrower(number)


def _read_number() -> str:
    """Return the typed number; a CPR number without the space or hyphen that people write."""
    typed = request.form.get("identifier", "").strip()
    digits = re.sub(r"[\s-]", "", typed)
    return digits if digits.isdigit() else typed


def _unproven() -> str:
    # The same message for both errors does not reveal whether a borrower is registered.
    return say(
        "The number and the PIN do not belong together.", "Nummer og pinkode passer ikke sammen."
    )


def _fault(wanted: Mapping[str, str], pin: str, again: str) -> str:
    if not _ADDRESS.fullmatch(wanted["email"]):
        return say(
            "Write a mail address, such as name@example.org.",
            "Skriv en mailadresse, fx navn@example.org.",
        )
    if any(len(value) > _LONGEST for value in wanted.values()):
        return say("One of the lines is too long.", "En af linjerne er for lang.")
    if pin and not _PIN.fullmatch(pin):
        return say("The new PIN must be four digits.", "Den nye pinkode skal være fire cifre.")
    if pin != again:
        return say("The two new PINs differ.", "De to nye pinkoder er ikke ens.")
    return ""
