"""The words of decisions: facts of a login in both languages."""

from typing import get_args

import pytest

from broker.app.policy_words import ENGLISH, Wording, plain
from broker.core.entities import Assurance
from broker.core.login.refused_facts import BorrowerKnown

DANISH = Wording("da")
WHOLE = [
    "assurance none",
    *(f"assurance {level.name.lower()}" for level in Assurance),
    *(f"cpr {kind}" for kind in ("real", "replacement", "constructed", "invalid", "none")),
    *(f"borrower {known}" for known in get_args(BorrowerKnown)),
    "borrower",
]


@pytest.mark.parametrize("fact", [*WHOLE, "upstream wayf", "age 18", "borrower STUDENT", "intent private"])
def test_a_fact_is_said_as_it_is_written_and_in_danish(fact: str) -> None:
    """Every level, kind and borrower that there is: none is English on a Danish page."""
    assert ENGLISH.fact(fact) == fact
    assert DANISH.fact(fact) != fact


def test_a_proof_is_said_with_its_name_and_domain() -> None:
    """Both stay as the file has them."""
    assert ENGLISH.fact("proof kaldemail in auh.rm.dk") == "proof kaldemail in auh.rm.dk"
    assert DANISH.fact("proof kaldemail in auh.rm.dk") == "bevis kaldemail i auh.rm.dk"


@pytest.mark.parametrize("fact", ["gn", "eduPersonPrimaryAffiliation student", "agent", "proof of something", "age"])
def test_what_is_no_fact_of_ours_stays_as_it_is(fact: str) -> None:
    """Names of attributes and their values are the files' own."""
    assert (ENGLISH.fact(fact), DANISH.fact(fact)) == (fact, fact)


@pytest.mark.parametrize("words", [ENGLISH, DANISH])
def test_nothing_in_a_fact_is_obeyed(words: Wording) -> None:
    """Neither by a terminal nor as a place to be filled: a value with a percent sign is text."""
    for hostile in ("gn \x1b[2J", "intent \x1b[2J", "upstream %(value)s", "intent 100%", "proof \x1b in %s"):
        said = words.fact(hostile)
        assert said.endswith(plain(hostile).split(" ")[-1])
        assert said.isprintable()
