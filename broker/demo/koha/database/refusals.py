"""Error answers of the simulated Koha, raised as exceptions."""


class Refused(Exception):  # an HTTP answer, not a fault of the simulation
    """An error answer: its status, and the members of its JSON object."""

    def __init__(self, status: int, /, **body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def internal_error() -> Refused:
    """Return Koha's answer to an unexpected error."""
    return Refused(
        500,
        error="Something went wrong, check Koha logs for details.",
        error_code="internal_server_error",
    )


def schema_violation(*errors: dict[str, str], status: int = 400) -> Refused:
    """Return the answer to a violation of the API's schema; 500 if Koha's own answer breaks it."""
    return Refused(status, errors=list(errors), status=status)
