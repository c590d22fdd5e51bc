"""Our face toward the upstreams."""

import pytest

from broker.core.transaction import Authentication
from tests.plugins.saml_parties import AU, NOW, Parties


def test_a_true_response_is_read(parties: Parties) -> None:
    """x."""
    received = parties.receive(parties.signed(parties.response()))
    assert isinstance(received.answer, Authentication)
    assert received.answer.institution == AU
    form = parties.idp.respond(parties.request, parties.disclosure(), parties.authentication(), parties.issued())
    print(parties.opened(form))
    print(parties.ask())
    print(parties.face.ask("wayf", "_q1", parties.request, NOW))
