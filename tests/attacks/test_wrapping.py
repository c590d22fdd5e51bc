"""Signature wrapping in every arrangement: what is verified is what is read, or nothing is.

Source: docs/reference/attacks.md#1 and #23.
"""

from typing import Any, Final

import pytest
from lxml import etree

from broker.core.errors import MessageRefused
from broker.core.login.transaction import Authentication
from tests.attacks.messages.wrapping import (
    EVIL,
    PLACES,
    Wrapping,
    is_accepted_by_careless_reader,
    list_wrappings,
    make_encrypted_message,
)
from tests.plugins.saml_parties import EPPN, Parties

# Each of these looks at the arrangement itself. Only where nothing else is amiss does the signature have to tell.
SHAPES: Final = frozenset(
    f"xml.{each}"
    for each in (
        "assertions",
        "assertion_place",
        "duplicate_id",
        "signature_place",
        "signatures",
        "object",
        "reference",
        "schema",
        "signed_infos",
    )
)


@pytest.mark.attack(1)
@pytest.mark.parametrize("how", list(list_wrappings()), ids=str)
def test_an_evil_message_never_borrows_a_signature(parties: Parties, how: Wrapping) -> None:
    """The genuine signature holds over the genuine element, and the arrangement is refused for what it is."""
    raw, genuine = how.make(parties)
    assert EVIL.encode() in raw
    assert is_accepted_by_careless_reader(raw, genuine, parties)
    with pytest.raises(MessageRefused) as refused:
        parties.receive(raw)
    assert refused.value.cause in SHAPES


@pytest.mark.attack(1, 23)
@pytest.mark.parametrize("place", PLACES)
def test_no_ciphertext_is_smuggled_in(parties: Parties, place: str) -> None:
    """Anybody can encrypt to us; an evil assertion in ciphertext beside a genuine one is not opened."""
    with pytest.raises(MessageRefused) as refused:
        parties.receive(make_encrypted_message(place, parties))
    assert refused.value.cause in SHAPES


@pytest.mark.attack(1, control=True)
@pytest.mark.parametrize("how", [{}, {"whole": True}, {"both": True}], ids=["assertion", "Response", "both"])
def test_the_genuine_message_is_read(parties: Parties, how: dict[str, Any]) -> None:
    """Where nothing is wrapped the signed values are those that are read."""
    answer = parties.receive(parties.sign_response(parties.response(), **how)).answer
    assert isinstance(answer, Authentication)
    assert {each.name: each.values for each in answer.attributes}[EPPN] == ("au1@au.dk",)


@pytest.mark.attack(1, 23, control=True)
def test_the_genuine_ciphertext_is_read(parties: Parties) -> None:
    """One encrypted assertion in the one place for it."""
    answer = parties.receive(etree.tostring(parties.encrypt_response(parties.response()))).answer
    assert isinstance(answer, Authentication)
