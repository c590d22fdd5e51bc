"""Attack: signature wrapping (XSW) in every arrangement. The broker reads only what was verified, or refuses.

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

# Checks of the arrangement. If they all pass, the signature check has to refuse the message.
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
def test_a_wrapped_message_is_refused(parties: Parties, how: Wrapping) -> None:
    """The genuine signature still verifies over the genuine element, but the arrangement is refused."""
    raw, genuine = how.make(parties)
    assert EVIL.encode() in raw
    assert is_accepted_by_careless_reader(raw, genuine, parties)
    with pytest.raises(MessageRefused) as refused:
        parties.receive(raw)
    assert refused.value.cause in SHAPES


@pytest.mark.attack(1, 23)
@pytest.mark.parametrize("place", PLACES)
def test_an_additional_encrypted_assertion_is_refused(parties: Parties, place: str) -> None:
    """An evil encrypted assertion next to a genuine one is not decrypted. An attacker can encrypt to the broker."""
    with pytest.raises(MessageRefused) as refused:
        parties.receive(make_encrypted_message(place, parties))
    assert refused.value.cause in SHAPES


@pytest.mark.attack(1, control=True)
@pytest.mark.parametrize("how", [{}, {"whole": True}, {"both": True}], ids=["assertion", "Response", "both"])
def test_the_genuine_message_is_read(parties: Parties, how: dict[str, Any]) -> None:
    """Control: without wrapping, the signed values are read."""
    answer = parties.receive(parties.sign_response(parties.response(), **how)).answer
    assert isinstance(answer, Authentication)
    assert {each.name: each.values for each in answer.attributes}[EPPN] == ("au1@au.dk",)


@pytest.mark.attack(1, 23, control=True)
def test_the_genuine_ciphertext_is_read(parties: Parties) -> None:
    """Control: one encrypted assertion in its place is read."""
    answer = parties.receive(etree.tostring(parties.encrypt_response(parties.response()))).answer
    assert isinstance(answer, Authentication)
