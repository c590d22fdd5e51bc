"""Whether a borrower in the library system is the person who has logged in."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final
from unicodedata import combining, normalize

from broker.core.borrowers.borrower import Borrower
from broker.core.identity import cpr
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, Attributes

# How many of surname, given name and birth date must agree.
_ENOUGH: Final = 2
_WORD: Final = re.compile(r"[^\W\d_]+")
# Letters that Unicode does not decompose (ae, oe, eth, thorn, ...), in ASCII spelling.
_TRANSLITERATED: Final = str.maketrans(
    {0xE6: "ae", 0xF8: "oe", 0x153: "oe", 0xF0: "d", 0xFE: "th", 0x142: "l", 0x111: "d"}
)
# Spellings of one letter, reduced to the shortest: Moeller is Moller, Aagaard is Agard.
_SHORTENED: Final = (("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a"))
# Particles of many surnames. Two surnames that share only a particle do not agree.
_PARTICLES: Final = frozenset(
    {"af", "al", "bin", "da", "de", "del", "den", "der", "di", "do", "dos", "du", "el", "ibn"}
    | {"la", "le", "san", "st", "ten", "ter", "van", "von", "zu"}
)


@dataclass(frozen=True, slots=True, repr=False)
class PersonFacts:
    """The facts of a login that are compared with a borrower. A missing fact never agrees."""

    surname: str = ""
    given_name: str = ""
    birth_date: date | None = None

    @property
    def has_name(self) -> bool:
        """Return whether the surname or the given name has a word."""
        return _WORD.search(f"{self.surname} {self.given_name}") is not None


@dataclass(frozen=True, slots=True)
class AddressQuestion:
    """The question at a first match: whether the address in the record is the person's own.

    ``match_hash`` is the keyed hash of the borrower number and the address.
    """

    masked_address: str
    match_hash: str


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """The person's answer to the question of a first match."""

    match_hash: str
    is_own: bool


NO_FACTS: Final = PersonFacts()


def read_person_facts(attributes: Attributes) -> PersonFacts:
    """Return the facts among ``attributes``; the birth date is that of the CPR number.

    Words of the full name replace a missing surname or given name.
    """
    number = attributes.one(CPR_ATTRIBUTE)
    full_name = attributes.one("cn") or attributes.one("displayName") or ""
    first, _, last = full_name.strip().rpartition(" ")
    return PersonFacts(
        surname=attributes.one("sn") or last,
        given_name=attributes.one("gn") or first,
        birth_date=cpr.birth_date(number) if number else None,
    )


def fold_words(name: str) -> frozenset[str]:
    """Return the words of a name without case, accents and the spellings of Danish letters."""
    plain = normalize("NFC", name).casefold().replace("'", "").replace("\u2019", "")
    return frozenset(_fold(word) for word in _WORD.findall(plain))


def is_this_persons(person: PersonFacts, borrower: Borrower, cpr_number: str) -> bool:
    """Return whether ``borrower``, the only one found by ``cpr_number``, is this person.

    Two of surname, given name and birth date must agree. A borrower with another CPR number, which
    was found by its card number, is another person.
    """
    if borrower.cpr not in {None, cpr_number}:
        return False
    return count_agreeing(person, borrower) >= _ENOUGH


def count_agreeing(person: PersonFacts, borrower: Borrower) -> int:
    """Return how many of surname, given name and birth date agree."""
    return (
        has_surname(person, borrower)
        + has_given_name(person, borrower)
        + has_birth_date(person, borrower)
    )


def has_surname(person: PersonFacts, borrower: Borrower) -> bool:
    """Return whether the borrower's surname shares a word with the person's."""
    return _share_a_word(person.surname, borrower.fields.get("surname", ""))


def has_given_name(person: PersonFacts, borrower: Borrower) -> bool:
    """Return whether the borrower's given names share a word with the person's."""
    return _share_a_word(person.given_name, borrower.fields.get("firstname", ""))


def is_possible_duplicate(person: PersonFacts, email: str | None, borrower: Borrower) -> bool:
    """Return whether ``borrower``, without the person's CPR number, may still be theirs.

    Two of name (a word of the surname and a word of the given name), birth date and mail address
    must agree.
    """
    has_name = has_surname(person, borrower) and has_given_name(person, borrower)
    has_email = bool(email and borrower.email) and fold_address(email) == fold_address(
        borrower.email
    )
    return has_name + has_birth_date(person, borrower) + has_email >= _ENOUGH


def can_be_claimed(person: PersonFacts, borrower: Borrower, *, is_by_card: bool = False) -> bool:
    """Return whether a person may claim ``borrower``, after a mailed code or a card number.

    The borrower must have no CPR number, and the birth date and a word of the given name must
    agree. A card number proves less than a mailed code: with ``is_by_card`` a word of the surname
    must agree too.
    """
    if borrower.cpr is not None:
        return False
    if is_by_card and not has_surname(person, borrower):
        return False
    return has_birth_date(person, borrower) and has_given_name(person, borrower)


def shares_name(person: PersonFacts, other: PersonFacts) -> bool:
    """Return whether two logins with one CPR number share a word of surname or given name."""
    return _share_a_word(person.surname, other.surname) or _share_a_word(
        person.given_name, other.given_name
    )


def has_birth_date(person: PersonFacts, borrower: Borrower) -> bool:
    """Return whether both birth dates are known, and equal."""
    return person.birth_date is not None and borrower.born == person.birth_date


def fold_address(address: str | None) -> str:
    """Return a mail address in the form for comparison, without case."""
    return (address or "").strip().casefold()


def _share_a_word(name: str, other_name: str) -> bool:
    words, other_words = fold_words(name), fold_words(other_name)
    if words == other_words:
        return bool(words)
    return bool((words & other_words) - _PARTICLES)


def _fold(word: str) -> str:
    letters = normalize("NFKD", word.translate(_TRANSLITERATED))
    folded = "".join(letter for letter in letters if not combining(letter))
    for written, short in _SHORTENED:
        folded = folded.replace(written, short)
    return folded
