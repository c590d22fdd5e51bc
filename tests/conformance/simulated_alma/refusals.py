"""The answers of the simulated Alma other than success, raised where they are found out."""

from typing import Final

GENERAL: Final = "402119"  # of the calls that read
NOT_CREATED: Final = "401658"  # the general error of a create
NOT_CHANGED: Final = "401860"  # the general error of a change


class Refused(Exception):  # an answer of the simulated Alma, no error of the broker
    """An error: its code, which decides, its sentence, and the HTTP status, 400 for most."""

    def __init__(self, code: str, message: str = "General error.", status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status

    @property
    def body(self) -> dict[str, object]:
        """Return the error list of one error, as every error of Alma's is sent."""
        error = {"errorCode": self.code, "errorMessage": self.message, "trackingId": "E01-0101190932"}
        return {"errorsExist": True, "errorList": {"error": [error]}, "result": None}


def not_understood() -> Refused:
    """Return the answer to a body that is no user object."""
    return Refused("401676", "No valid XML was given.")


def not_found(identifier: str, kind: str | None) -> Refused:
    """Return the answer to an identifier that nobody has; it repeats the identifier."""
    if kind is None:
        return Refused("401861", f"User with identifier {identifier} was not found.")
    return Refused("401890", f"User with identifier {identifier} of type {kind} was not found.")
