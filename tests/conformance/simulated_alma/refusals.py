"""The answers of the simulated Alma other than success, raised where they are found out."""

import secrets
from typing import Final
from xml.sax.saxutils import escape

GENERAL: Final = "402119"  # of the calls that read
NOT_CREATED: Final = "401658"  # the general error of a create
NOT_CHANGED: Final = "401860"  # the general error of a change

_OF_GATEWAY: Final = frozenset({"DAILY_THRESHOLD", "INVALID_REQUEST", "PER_SECOND_THRESHOLD", "UNAUTHORIZED"})
_XML: Final = """\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<web_service_result xmlns="http://com/exlibris/urm/general/xmlbeans">
<errorsExist>true</errorsExist>
<errorList>
<error>
<errorCode>{code}</errorCode>
<errorMessage>{message}</errorMessage>
</error>
</errorList>
</web_service_result>
"""


class Refused(Exception):  # an answer of the simulated Alma, no error of the broker
    """An error: its code, which decides, its sentence, and the HTTP status, 400 for most."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status

    @property
    def body(self) -> dict[str, object]:
        """Return the error list of one error, as every error of Alma's is sent."""
        tracking = f"E01-{secrets.token_hex(5)}-AWAE{secrets.randbelow(10**10):010}"
        error = {"errorCode": self.code, "errorMessage": self.message, "trackingId": tracking}
        return {"errorsExist": True, "errorList": {"error": [error]}, "result": None}

    @property
    def xml(self) -> str:
        """Return the same as XML, as it comes where nobody asked for JSON."""
        return _XML.format(code=self.code, message=escape(self.message))

    @property
    def is_of_gateway(self) -> bool:
        """Return whether the gateway before Alma refuses: keys and limits are its own."""
        return self.code in _OF_GATEWAY


def make_unauthorized() -> Refused:
    """Return the answer to a key that was not given the area of the call."""
    text = "API-key not defined or not configured to allow this API."
    return Refused("UNAUTHORIZED", text)


def no_such_key() -> Refused:
    """Return the answer to a key that there is none."""
    return Refused("INVALID_REQUEST", "Invalid API Key", 403)


def not_understood() -> Refused:
    """Return the answer to a body that is no user object."""
    return Refused("401676", "No valid XML was given.")


def missing(name: str) -> Refused:
    """Return the answer to a user without a mandatory field."""
    return Refused("401664", f"Mandatory field is missing: {name}")


def invalid_type(what: str, code: str) -> Refused:
    """Return the answer to a type that is in no code table."""
    return Refused("401864", f"Given {what} type ({code}) is invalid.")


def make_taken(kind: str) -> Refused:
    """Return the answer to an identifier that another user has."""
    return Refused("401851", f"User with identifier of type {kind} already exists.")


def not_found(identifier: str, kind: str | None) -> Refused:
    """Return the answer to an identifier that nobody has; it repeats the identifier."""
    if kind is None:
        return Refused("401861", f"User with identifier {identifier} was not found.")
    return Refused("401890", f"User with identifier {identifier} of type {kind} was not found.")


def general_error(code: str = GENERAL) -> Refused:
    """Return the general error of a call, which says nothing of the cause."""
    texts = {
        GENERAL: "General error.",
        NOT_CREATED: "General Error - Failed to create new user",
        NOT_CHANGED: "Failed to update user.",
    }
    return Refused(code, texts[code])


def broken() -> Refused:
    """Return Alma's answer where it failed itself."""
    return Refused("INTERNAL_SERVER_ERROR", "The web server encountered an error.", 500)
