"""The page of the desk: a reference in, what to tell the caller out, and two buttons."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from flask import Blueprint
from flask_babel import format_datetime
from werkzeug.wrappers import Response

from broker.adapters.web.admin.form_problems import PROBLEMS
from broker.adapters.web.admin.staff_door import PATH, StaffDoor
from broker.adapters.web.admin.staff_ports import CallerCase, StaffPorts
from broker.adapters.web.admin.staff_references import typed_reference
from broker.adapters.web.pages.language import language
from broker.core.errors import TooMany
from broker.core.staff import StaffPage
from broker.use_cases.staff.reference_guesses import ReferenceGuesses
from broker.use_cases.staff.staff_sessions import StaffMember

_UNPROCESSABLE: Final = 422


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the page shows below its form: the case, and what a button has just done, by a code."""

    reference: str = ""
    case: CallerCase | None = None
    problem: str = ""
    done: str = ""


@dataclass(frozen=True, slots=True)
class StaffDesk:
    """The endpoints over the door and the ports."""

    door: StaffDoor
    ports: StaffPorts
    guesses: ReferenceGuesses

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/desk``."""
        routes.get(f"{PATH}/desk")(self.ask_caller)
        routes.post(f"{PATH}/desk")(self.help_caller)

    def ask_caller(self) -> Response:
        """Show the form."""
        member = self.door.allowed(StaffPage.DESK)
        self.door.looked(member, StaffPage.DESK)
        return self._page(member, _Shown())

    def help_caller(self) -> Response:
        """Show what a reference stands for, or press one of its two buttons and show it then.

        TooMany after ten references in ten minutes that led nowhere.
        """
        member = self.door.allowed(StaffPage.DESK)
        form = self.door.form(member, StaffPage.DESK)
        button = form.choice("do", ("find", *self._buttons))
        typed = typed_reference(form)
        self.door.looked(member, StaffPage.DESK, typed.name or None)
        if typed.problem:
            return self._page(member, _Shown(problem=typed.problem))
        taken = self.guesses.take(member.staff_id)
        found = self.ports.case(typed.name, language())
        if found is None:
            return self._page(member, _Shown(typed.name, problem="reference_unknown"))
        self.guesses.led_somewhere(taken)
        if button == "find":
            return self._page(member, _Shown(typed.name, found))
        # Written before it does anything: what cannot be written does not happen.
        self.door.acted(member, button, typed.name)
        done = self._buttons[button](typed.name)
        return self._page(
            member, _Shown(typed.name, self.ports.case(typed.name, language()), done=done)
        )

    @property
    def _buttons(self) -> Mapping[str, Callable[[str], str]]:
        return {"retry": self._retry, "letter": self._mail_letter}

    def _retry(self, reference: str) -> str:
        try:
            retried = self.ports.retry(reference)
        except TooMany:
            return "retries_too_many"
        return "retried" if retried else "not_retried"

    def _mail_letter(self, reference: str) -> str:
        at = format_datetime(self.door.ports.now(), "long")
        mailed = self.ports.mail_letter(reference, language(), at)
        return "letter" if mailed else "no_letter"

    def _page(self, member: StaffMember, shown: _Shown) -> Response:
        response = self.door.page(
            "admin_desk.html",
            member,
            reason="desk",
            token=self.door.token(member, StaffPage.DESK),
            reference=shown.reference,
            found=shown.case,
            problem=PROBLEMS.get(shown.problem),
            code=shown.problem,
            done=shown.done,
        )
        if shown.problem:
            response.status_code = _UNPROCESSABLE
        return response
