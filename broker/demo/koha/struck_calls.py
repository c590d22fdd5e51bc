"""Koha's part in its faults: how it words a refusal, and how a patron becomes what it was."""

from flask import Response, current_app, request

from broker.demo.faults.struck_calls import View
from broker.demo.koha.patrons import Patrons
from broker.demo.koha.refusals import Refused, broken


class KohaStruck:
    """Words refusals as Koha, and undoes work on its patrons."""

    def __init__(self, patrons: Patrons) -> None:
        self._patrons = patrons

    def broken(self) -> Refused:
        """Return Koha's answer to everything that it did not expect."""
        return broken()

    def refused(self, operation: str) -> Refused:
        """Return a refusal of an operation: 403 of the token endpoint, else 400."""
        if operation == "token":
            return Refused(403, error="access_denied")
        return Refused(400, error="Refused as it was planned")

    def without_effect(self, view: View, parts: dict[str, str]) -> Response:
        """Do the work, and undo it: the answer is a success's."""
        number = parts.get("number", "")
        saved = self._patrons.saved(int(number)) if number.isdecimal() else None
        answer = current_app.make_response(view(**parts))
        if saved is not None:
            self._patrons.restore(int(number), saved)
        elif answer.status_code == 201 and request.path.endswith("/patrons"):
            self._patrons.drop(answer.get_json()["patron_id"])
        return answer
