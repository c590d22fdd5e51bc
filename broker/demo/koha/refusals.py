"""The answers of the simulated Koha other than success, raised where they are found out."""


class Refused(Exception):  # an answer of the simulated Koha, no error of ours
    """An answer other than success: its status, and the members of its JSON object."""

    def __init__(self, status: int, /, **body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def broken() -> Refused:
    """Return Koha's answer to everything that it did not expect."""
    return Refused(
        500,
        error="Something went wrong, check Koha logs for details.",
        error_code="internal_server_error",
    )


def unfit(*errors: dict[str, str], status: int = 400) -> Refused:
    """Return the answer to what breaks the schema of the API; 500 where Koha's own answer does."""
    return Refused(status, errors=list(errors), status=status)
