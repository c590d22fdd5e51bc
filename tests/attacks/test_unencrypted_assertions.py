"""Attack: reading a CPR number in an assertion that is not encrypted. The broker never sends one."""

from dataclasses import replace
from typing import Any

import pytest

from broker.core.consent.disclosure import Item
from broker.core.errors import BrokerError
from tests.plugins.saml_parties import WORDS, Parties

CPR = "0101901234"


def configure(parties: Parties, **changes: Any) -> Parties:
    """Return the parties with other settings for the service my-loans, which publishes a key."""
    service = replace(parties.services["my-loans"], **changes)
    return replace(parties, idp=replace(parties.idp, metadata=parties.metadata, services={service.entity_id: service}))


def respond(parties: Parties, *items: Item) -> tuple[Any, Any]:
    """Let the broker answer the service, and return the Response and its assertion."""
    form = parties.idp.respond(
        parties.request, parties.disclosure(*items), parties.authentication(), parties.make_ids()
    )
    return parties.open_response(form)


@pytest.mark.attack(23)
@pytest.mark.parametrize(
    "item",
    [
        Item("cpr", (CPR,), WORDS),
        Item("mail", (f"{CPR}@post.example",), WORDS),
        Item("borrower_number", (CPR,), WORDS),
        Item("cn", ("Asta", "010190-1234"), WORDS),
    ],
    ids=lambda item: item.name,
)
def test_no_number_leaves_unencrypted(parties: Parties, item: Item) -> None:
    """With encryption = "none" the CPR number is refused, also as the value of another attribute."""
    with pytest.raises(BrokerError, match="unencrypted") as refused:
        respond(configure(parties, encryption="none"), item)
    assert CPR not in str(refused.value)


@pytest.mark.parametrize("mode", [None, "gcm", "cbc"])
def test_an_encrypted_assertion_may_carry_the_number(parties: Parties, mode: str | None) -> None:
    """Control: an encrypted assertion contains the number, and the message around it does not."""
    root, assertion = respond(configure(parties, encryption=mode), Item("cpr", (CPR,), WORDS))
    assert CPR in "".join(assertion.itertext())
    assert CPR not in "".join(root.itertext())


@pytest.mark.parametrize("mode", ["gcm", "cbc"])
def test_a_stated_encryption_without_a_key_sends_nothing(parties: Parties, mode: str) -> None:
    """The broker does not fall back to plain text if the metadata has lost the encryption key."""
    metadata = parties.metadata
    known = {name: replace(each, encryption_certificate=None) for name, each in metadata.services.items()}
    without = replace(parties, metadata=replace(metadata, services=known))
    with pytest.raises(BrokerError, match="publishes no key"):
        respond(configure(without, encryption=mode))
