"""Codes that are mailed and typed in the browser that asked for them, and tokens of PIN links."""

import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from broker.core.errors import CodeRefused
from broker.core.input_normalization import remove_spaces

CODE_LASTS: Final = timedelta(minutes=30)
TRIES: Final = 5
# No person needs more codes in one browser: the oldest is dropped.
MOST_CODES: Final = 8
_LENGTH: Final = 8
_CODE: Final = re.compile(rf"[0-9]{{{_LENGTH}}}")


class CodeOwner(NamedTuple):
    """The purpose, browser and person of codes that are typed.

    ``browser`` is the keyed hash of the browser cookie (``Transaction.browser``). ``person_id`` is
    the logged-in person, or "" before a login. The code of one person is wrong for another person
    in the same browser.
    """

    purpose: Literal["mailbox", "library_account", "claim"]
    browser: str
    person_id: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Code:
    """One mailed code, without its digits.

    ``subject`` says what the code proves: an address, a borrower number. A decoy proves nothing: it
    is mailed to nobody, and only counts wrong tries.
    """

    subject: str
    code_hash: str
    made_at: datetime
    expires_at: datetime
    tries_left: int = TRIES


@dataclass(frozen=True, slots=True, repr=False)
class StoredCodes:
    """The codes of one browser or borrower."""

    codes: tuple[Code, ...] = ()

    def drop_expired(self, now: datetime) -> "StoredCodes":
        """Return the codes that have not expired."""
        return StoredCodes(tuple(code for code in self.codes if now < code.expires_at))

    def add_code(self, code: Code) -> "StoredCodes":
        """Return the codes with one more, the newest last."""
        return StoredCodes((*self.codes, code)[-MOST_CODES:])

    def set_subject(self, code_hash: str, subject: str) -> "StoredCodes":
        """Return the codes with a decoy turned into a code of the same tries and expiry."""
        return StoredCodes(
            tuple(
                replace(code, subject=subject) if code.code_hash == code_hash else code
                for code in self.codes
            )
        )

    def drop_code(self, code_hash: str) -> "StoredCodes":
        """Return the codes without a used one."""
        return StoredCodes(tuple(code for code in self.codes if code.code_hash != code_hash))

    def find(self, code_hash: str) -> Code | None:
        """Return the code with this hash if it has a try left; None for a wrong code.

        Raises CodeRefused if there is no code, or no code has a try left.
        """
        if not self.codes:
            raise CodeRefused("code_none")
        usable = [code for code in self.codes if code.tries_left > 0]
        if not usable:
            raise CodeRefused("code_used_up")
        right = (code for code in usable if code.subject and code.code_hash == code_hash)
        return next(right, None)

    def count_wrong_try(self) -> "StoredCodes":
        """Return the codes after a wrong try, which costs every code a try."""
        return StoredCodes(
            tuple(replace(code, tries_left=max(0, code.tries_left - 1)) for code in self.codes)
        )


@dataclass(frozen=True, slots=True)
class CodesEnded:
    """The time at which the codes for a subject were ended before their expiry."""

    ended_at: datetime


def draw_code() -> str:
    """Return eight random digits."""
    return f"{secrets.randbelow(10**_LENGTH):0{_LENGTH}}"


def spell_code(code: str) -> str:
    """Return a code as the mail shows it: ``1234 5678``."""
    return f"{code[: _LENGTH // 2]} {code[_LENGTH // 2 :]}"


def read_code(typed: str) -> str:
    """Return the digits of a typed or pasted code.

    Raises CodeRefused if they are not eight digits.
    """
    digits = remove_spaces(typed).replace("-", "")
    if not _CODE.fullmatch(digits):
        raise CodeRefused("code_malformed")
    return digits
