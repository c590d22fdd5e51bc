"""Reads single values of a register's answer: what is not as documented is refused, not guessed."""

from collections.abc import Mapping
from typing import Any, Final

from broker.core.borrowers.registered_person import RegisterRefused

_LONGEST: Final = 200  # letters of one value; the CPR register's own longest is 40


def text(row: Mapping[str, Any], name: str) -> str:
    """Return a text of an answer, blanks around and doubled taken out; "" where there is none.

    RegisterRefused where it is no text, or longer than 200 letters.
    """
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise misshapen(name)
    return " ".join(value.split())


def misshapen(name: str) -> RegisterRefused:
    """Return the refusal of an answer of which the field ``name`` is not as documented."""
    return RegisterRefused(f"the field {name} of the answer is not as documented")
