"""The simulated library's lending machine, and the page where borrowers edit their profile."""

import re
from collections.abc import Mapping
from typing import Any, Final

from flask import Flask, render_template, request

from broker.demo.koha.loans import BOOKS, Circulation
from broker.demo.library.page_language import say

_FIELDS: Final = ("email", "phone", "address")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_PIN: Final = re.compile(r"[0-9]{4}")
_NUMBER: Final = re.compile(r"[0-9]{1,8}")
_LONGEST: Final = 200

ViewResultOfDemo = tuple[str, int]


def serve(app: Flask, circulation: Circulation) -> None:
    """Add ``/machine`` and ``/profile`` to the library."""

    @app.get("/machine")
    def machine() -> str:
        return render_template("machine.html", books=BOOKS)

    @app.post("/machine")
    def lend() -> ViewResultOfDemo:
        return _lend(circulation)

    @app.get("/profile")
    def profile() -> str:
        return render_template("profile.html")

    @app.post("/profile")
    def edit() -> ViewResultOfDemo:
        return _edit(circulation)


def _lend(circulation: Circulation) -> ViewResultOfDemo:
    account = _account(circulation)
    if account is None:
        return render_template("machine.html", books=BOOKS, wrong=_unproven()), 422
    book, number = request.form.get("book", ""), account["patron_id"]
    lent = book in BOOKS and circulation.lend(number, book)
    loans = circulation.loans(number)
    return render_template(
        "machine.html",
        books=BOOKS,
        account=account,
        loans=loans,
        lent=book if lent else "",
        asked=book in BOOKS,
    ), 200


def _edit(circulation: Circulation) -> ViewResultOfDemo:
    # Every form carries number and PIN: the library keeps nobody logged in here.
    account = _account(circulation)
    wanted = {name: request.form[name].strip() for name in _FIELDS if name in request.form}
    if account is None:
        return render_template(
            "profile.html", account=_as_sent(wanted), values=wanted, wrong=_unproven()
        ), 422
    if not wanted:
        return render_template("profile.html", account=account, values=account), 200
    pin, again = request.form.get("new_pin", ""), request.form.get("again", "")
    wrong = _fault(wanted, pin, again)
    if wrong:
        return render_template("profile.html", account=account, values=wanted, wrong=wrong), 422
    _change(circulation, account, wanted, pin)
    return render_template("profile.html", account=account, values=wanted, saved=True), 200


def _account(circulation: Circulation) -> dict[str, Any] | None:
    """Return the borrower whose number and PIN the form holds; None where they do not match."""
    identifier = request.form.get("identifier", "")
    return circulation.proven(identifier, request.form.get("pin", ""))


def _change(
    circulation: Circulation, account: Mapping[str, Any], wanted: Mapping[str, str], pin: str
) -> None:
    number = account["patron_id"]
    body = {name: account[name] for name in ("surname", "category_id", "library_id")}
    body |= {name: value or None for name, value in wanted.items()}
    circulation.patrons.change(number, body)
    if pin:
        circulation.patrons.set_password(number, pin, pin)


def _as_sent(wanted: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return the borrower that a filled form named, known or not; None at the first page."""
    number = request.form.get("identifier", "")
    # A CPR number is typed on the first page only, and stands on none.
    if wanted and _NUMBER.fullmatch(number):
        return {"patron_id": number}
    return None


def _unproven() -> str:
    # One sentence for both faults: nobody learns that a borrower is registered here.
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
