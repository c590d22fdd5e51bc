"""The letter of a borrower: one code for a day, good in the browsers that typed its number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.account_codes import account_code_of, new_account_code
from broker.core.entities import Names
from broker.core.errors import LinkGone, StoreUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention.table import PIN_CODE, PIN_LETTER, PIN_TYPED
from broker.use_cases.proofs.rate_limits import Limit, Limits, RefusedNames
from broker.use_cases.records import MOST_TRIES, Content, Record, Records

LETTER_LASTS: Final = PIN_LETTER.span
# Nobody gets far by guessing codes; the limit saves the store their writes.
CODES: Final = Limit("pin-codes", 10, timedelta(minutes=10))
# Numbers that a browser has typed: more in half an hour are no household's.
_MOST_NUMBERS: Final = 4


@dataclass(frozen=True, slots=True, repr=False)
class PinLetter:
    """One borrower's letter, kept under its code.

    ``identifiers`` are the pseudonyms of what was typed when it was asked for.
    """

    number: str
    code: str
    identifiers: Names = ()


@dataclass(frozen=True, slots=True, repr=False)
class CurrentCode:
    """The code of the letter that a borrower has now: the next mailing holds the same one."""

    code: str


@dataclass(frozen=True, slots=True, repr=False)
class TypedNumbers:
    """What one browser has typed, as pseudonyms, and in which transaction it did so last."""

    identifiers: Names
    transaction: str


@dataclass(frozen=True, slots=True)
class PinLetters:
    """The letters in a store.

    A code opens the letter only in a browser that has typed a number of its borrower: a stranger
    who has the owner's letter asked for gains nothing when the owner, or a scanner of mail, opens
    its link; and nobody is led into another's account by a link that was sent to them.
    """

    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]
    refused: RefusedNames = field(default_factory=RefusedNames)
    # The browsers for which no more is kept of a refused asking, by what was read just now.
    full: RefusedNames = field(default_factory=RefusedNames)

    def typed(
        self, browser: str, identifier: str, transaction: str, *, refused: bool = False
    ) -> None:
        """Keep that ``browser`` typed ``identifier`` in a transaction.

        Where its asking was ``refused``, or its codes were, only the first few numbers are kept:
        whoever goes on typing writes nothing, and after that has nothing read.
        """
        limits = Limits(self.store, self.hmacs, self.now, self.refused)
        refused = refused or limits.is_refused(CODES, browser)
        now = self.now()
        if refused and self.full.holds(browser, now):
            return
        pseudonym = identifier_pseudonym(self.hmacs, identifier)

        def added(record: Record[TypedNumbers] | None) -> Content[TypedNumbers] | None:
            before = record.value.identifiers if record else ()
            if refused and (pseudonym in before or len(before) == _MOST_NUMBERS):
                return None
            numbers = dict.fromkeys((pseudonym, *before))
            typed = TypedNumbers(tuple(numbers)[:_MOST_NUMBERS], transaction)
            if record and record.value == typed:
                return None  # it lives longer than the transaction
            return Content(typed, PIN_TYPED.until(now))

        key = self._key_of_browser(browser)
        kept = Records(self.store, TypedNumbers).amend(key, added, now).record
        # A number more pushes another out, so that whatever is typed meanwhile it stays full.
        if refused and kept and len(kept.value.identifiers) == _MOST_NUMBERS:
            self.full.add(browser, now)

    def waiting(self, browsers: Sequence[str]) -> str | None:
        """Return the transaction in which one of the browsers has typed a number last; or None."""
        for browser in browsers:
            typed = self._typed_in(browser)
            if typed:
                return typed.transaction
        return None

    def opened(self, typed_code: str, browser: str) -> PinLetter:
        """Return the letter of a code, and use nothing up.

        LinkGone for a code that no letter has, and for one of a number that this browser has not
        typed; TooMany after ten such from one browser in ten minutes.
        """
        limits = Limits(self.store, self.hmacs, self.now, self.refused)
        taken = limits.take((CODES, browser))
        code = account_code_of(typed_code) or ""
        record = self._letters.get(self._key_of_code(code), self.now())
        typed = self._typed_in(browser)
        if record is None or typed is None:
            raise LinkGone("no letter, or no number typed in this browser")
        if not set(typed.identifiers).intersection(record.value.identifiers):
            raise LinkGone("a letter of no number typed in this browser")
        limits.give_back(taken)
        return record.value

    def current(self, number: str, *typable: str) -> PinLetter:
        """Return the borrower's letter, a new one where there is none.

        It opens from now on where one of ``typable`` is typed, also if it was mailed before.
        """
        now = self.now()
        key = self._key_of_code(self._code_of(number))
        pseudonyms = [identifier_pseudonym(self.hmacs, each) for each in typable]

        def opening(record: Record[PinLetter] | None) -> Content[PinLetter] | None:
            if record is None or set(pseudonyms) <= set(record.value.identifiers):
                return None
            identifiers = tuple(dict.fromkeys((*record.value.identifiers, *pseudonyms)))
            return Content(replace(record.value, identifiers=identifiers), record.until)

        record = self._letters.amend(key, opening, now).record
        if record is None:
            raise StoreUnavailable("the letter of a borrower ran out while it was read")
        return record.value

    def _code_of(self, number: str) -> str:
        now = self.now()
        codes = Records(self.store, CurrentCode)
        key = Key("pin", self.hmacs.of("pin-letter-of", number), "current")
        for _ in range(MOST_TRIES):
            current = codes.get(key, now)
            if current:
                return current.value.code
            # The letter first: a code that is known as current has one, whoever dies in between.
            letter = PinLetter(number, new_account_code())
            self._letters.add(self._key_of_code(letter.code), letter, PIN_LETTER.until(now), now)
            if codes.add(key, CurrentCode(letter.code), PIN_CODE.until(now), now):
                return letter.code
            self.store.drop(self._key_of_code(letter.code))
        raise StoreUnavailable("the letter of a borrower kept changing")

    def _typed_in(self, browser: str) -> TypedNumbers | None:
        record = Records(self.store, TypedNumbers).get(self._key_of_browser(browser), self.now())
        return record.value if record else None

    @property
    def _letters(self) -> Records[PinLetter]:
        return Records(self.store, PinLetter)

    def _key_of_code(self, code: str) -> Key:
        return Key("pin", self.hmacs.of("pin-letter", code), "letter")

    def _key_of_browser(self, browser: str) -> Key:
        return Key("pin", self.hmacs.of("pin-typed-in", browser), "typed")


def identifier_pseudonym(hmacs: LookupHmacs, identifier: str) -> str:
    """Return the pseudonym of a number as ``pins.identifier_of`` reads it, whatever its case."""
    return hmacs.of("pin-identifier", identifier.casefold())
