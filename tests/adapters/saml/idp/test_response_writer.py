"""The Assertion and the Response that we write: every value stays in its place, and both signatures hold."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from broker.adapters.saml.idp import response_writer
from broker.adapters.saml.idp.response_writer import AssertionContents
from broker.adapters.saml.xml_security import safe_parser, signature, written_message, xml_structure_checks
from broker.adapters.saml.xml_security.algorithm_selection import DEFAULT_SIGNING, SigningAlgorithms
from broker.adapters.saml.xml_security.xml_names import RESPONSE
from broker.core.consent.disclosure import Item
from broker.core.entities import PERSISTENT, TRANSIENT
from broker.core.errors import SUCCESS, BrokerError
from broker.core.identity.canonical_attributes import AttributeMap, MapRow
from tests.plugins.example_counts import choose_size, scale_examples
from tests.plugins.saml_parties import IDP, WORDS, Parties

ROWS = (
    MapRow("urn:oid:2.5.4.3", "cn"),
    MapRow("mail", "mail"),
    MapRow("urn:oid:1.3.6.1.4.1.25178.1.2.15", "cpr"),
    MapRow("urn:oid:1.3.6.1.4.1.5923.1.1.1.10", "eduPersonTargetedID"),
)
MAP = AttributeMap("library", ROWS, outgoing=True)
# All that XML can hold, and often what an escape is for.
LETTERS = st.sampled_from("&<>\"'\t\r\n ]}æ\u0085\u00a0\u2028😀") | st.characters(
    codec="utf-8", min_codepoint=0x20, exclude_characters="\ufffe\uffff"
)
TEXTS = st.text(LETTERS, min_size=1, max_size=12)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - they are given it
ITEMS = st.builds(
    Item, st.sampled_from([row.name for row in ROWS]), st.lists(TEXTS, max_size=3).map(tuple), st.just(WORDS)
)


@st.composite
def changes(draw: Any) -> dict[str, Any]:
    """Give every part of an assertion that comes from somebody else."""
    return {
        "issuer": draw(TEXTS),
        "request": {"id": draw(TEXTS), "entity_id": draw(TEXTS), "acs": draw(TEXTS)},
        "disclosure": {
            "name_id_format": draw(st.sampled_from([PERSISTENT, TRANSIENT])),
            "items": tuple(draw(st.lists(ITEMS, max_size=4))),
        },
        "authentication": {
            "issuer": draw(st.just("") | TEXTS),
            "authorities": tuple(draw(st.lists(TEXTS, max_size=3))),
            "authn_instant": draw(TIMES),
            "authn_context": draw(st.none() | TEXTS),
            "session_until": draw(st.none() | TIMES),
        },
        "issued": {"response": draw(TEXTS), "assertion": draw(TEXTS), "at": draw(TIMES), "name_id": draw(TEXTS)},
    }


def contents(parties: Parties, changed: dict[str, Any]) -> AssertionContents:
    """Give what an assertion is made of, changed."""
    return AssertionContents(
        changed["issuer"],
        replace(parties.request, **changed["request"]),
        replace(parties.disclosure(), **changed["disclosure"]),
        parties.authentication(**changed["authentication"]),
        replace(parties.make_ids(), **changed["issued"]),
    )


def make_contents(parties: Parties, *items: Item) -> AssertionContents:
    """Give the contents of an assertion with these attributes."""
    return AssertionContents(
        IDP, parties.request, parties.disclosure(*items), parties.authentication(), parties.make_ids()
    )


def write_assertion(of: AssertionContents) -> Any:
    """Give the unsigned Assertion."""
    return written_message.tree(response_writer.assertion(of, MAP, encrypted=True))


def write_signed(parties: Parties, of: AssertionContents, by: SigningAlgorithms = DEFAULT_SIGNING) -> bytes:
    """Give the Response with its Assertion, both signed."""
    assertion = write_assertion(of)
    signature.sign(assertion, parties.idp.key, by)
    root = written_message.tree(
        response_writer.response(of.issuer, of.request, of.issued.response, of.issued.at, SUCCESS)
    )
    root.append(assertion)
    signature.sign(root, parties.idp.key, by)
    return etree.tostring(root, encoding="utf-8")


def list_values(of: AssertionContents) -> list[str]:
    """Give the values of the attributes in their order."""
    rows = {row.name: row for row in ROWS}
    return [rows[item.name].write(value) for item in of.disclosure.attributes for value in item.values]


@pytest.mark.parametrize(
    "runs", [100, pytest.param(choose_size(300, otherwise=5_000), marks=pytest.mark.slow(seconds=15))]
)
def test_no_value_leaves_its_place(parties: Parties, runs: int) -> None:
    """A reader finds every value unchanged, and no further element."""

    @settings(max_examples=scale_examples(runs), deadline=None, suppress_health_check=list(HealthCheck))
    @given(changes())
    def read(changed: dict[str, Any]) -> None:
        of = contents(parties, changed)
        root = etree.fromstring(etree.tostring(write_assertion(of)))
        assert root.get("ID") == of.issued.assertion
        assert root.findtext("{*}Issuer") == of.issuer
        assert root.findtext("{*}Subject/{*}NameID") == of.issued.name_id
        assert root.findtext("{*}Conditions/{*}AudienceRestriction/{*}Audience") == of.request.entity_id
        confirmed: Any = root.find("{*}Subject/{*}SubjectConfirmation/{*}SubjectConfirmationData")
        assert (confirmed.get("InResponseTo"), confirmed.get("Recipient")) == (of.request.id, of.request.acs)
        assert [each.text for each in root.iter("{*}AuthenticatingAuthority")] == list(of.authentication.chain)
        found = ["".join(map(str, each.itertext())) for each in root.iter("{*}AttributeValue")]
        assert found == list_values(of)
        names = [each.tag for each in root.iter()]
        assert names.count("{urn:oasis:names:tc:SAML:2.0:assertion}AttributeValue") == len(found)

    read()


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1f", "\ud800", "\ufffe", "\uffff"])
@pytest.mark.parametrize("where", ["value", "acs"])
def test_a_character_that_xml_cannot_hold_is_not_written(parties: Parties, character: str, where: str) -> None:
    """Neither dropped nor replaced, in a text and in an attribute."""
    value = f"a{character}b"
    of = make_contents(parties, Item("cn", (value if where == "value" else "a",), WORDS))
    of = replace(of, request=replace(parties.request, acs=value if where == "acs" else parties.request.acs))
    with pytest.raises(BrokerError) as refused:
        write_assertion(of)
    assert value not in str(refused.value)


def test_the_response_is_valid_against_the_schema(parties: Parties) -> None:
    """Plain as it is: xsi:type names a namespace that is declared."""
    octets = write_signed(parties, make_contents(parties, Item("cn", ("Asta",), WORDS)))
    assert xml_structure_checks.is_valid(safe_parser.parse(octets, RESPONSE))
