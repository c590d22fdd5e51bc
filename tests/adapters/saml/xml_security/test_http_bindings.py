"""The Redirect and POST bindings: strict in what is taken out of HTTP, exact in what is put in."""

import base64
import tracemalloc
import zlib
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.adapters.saml.xml_security.xml_names import RSA_SHA256
from broker.core.errors import MessageRefused
from tests.plugins.saml_messages import REQUEST, Forge, load_keys

ANY_STATE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=200)


def deflate(xml: bytes) -> bytes:
    """Compress as the Redirect binding does."""
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packing.compress(xml) + packing.flush()


def pack(octets: bytes) -> str:
    """Write octets as a query parameter's value."""
    return quote(base64.b64encode(octets).decode(), safe="")


GOOD = f"SAMLRequest={pack(deflate(REQUEST))}"


@pytest.mark.attack(14, control=True)
@given(state=st.none() | ANY_STATE)
def test_a_redirect_message_arrives_unchanged(state: str | None, forge: Forge) -> None:
    """Message, RelayState and a good signature arrive exactly as they were sent, whatever the RelayState."""
    for key in (None, forge.upstream.key):
        url = http_bindings.build_redirect_url("https://hub.example/sso", "SAMLRequest", REQUEST, state, key)
        found = http_bindings.read_redirect(urlsplit(url).query, "SAMLRequest")
        assert (found.xml, found.relay_state, found.signed is None) == (REQUEST, state, key is None)
        if found.signed:
            signed = found.signed
            signature.verify_bytes(
                signed.octets, signed.signature, signed.sigalg, load_keys(forge.upstream.certificate)
            )


@pytest.mark.attack(14, control=True)
@given(xml=st.binary(min_size=1, max_size=300), state=st.none() | ANY_STATE)
def test_a_post_message_arrives_unchanged(xml: bytes, state: str | None) -> None:
    """The form's fields hold the message and the RelayState verbatim, and no more."""
    fields = http_bindings.build_post_fields(xml, "SAMLResponse", state)
    assert http_bindings.decode_post(fields.pop("SAMLResponse")) == xml
    assert fields == ({} if state is None else {"RelayState": state})


def test_a_destination_with_a_query_keeps_it() -> None:
    """Some identity providers have a parameter in their address."""
    url = http_bindings.build_redirect_url("https://hub.example/sso?x=1", "SAMLRequest", REQUEST, "r", None)
    assert url.startswith("https://hub.example/sso?x=1&SAMLRequest=")
    assert parse_qs(urlsplit(url).query)["RelayState"] == ["r"]


@pytest.mark.attack(27)
def test_no_header_can_be_split() -> None:
    """A RelayState appears in a URL percent-encoded only."""
    url = http_bindings.build_redirect_url("https://hub.example/", "SAMLRequest", REQUEST, "a b&c=d#e\u2028\t", None)
    assert url.endswith("RelayState=a%20b%26c%3Dd%23e%E2%80%A8%09")


def test_signed_octets_are_those_that_came(forge: Forge) -> None:
    """A peer that escapes in lower case or spells a space as + signed just that, in the order of the standard."""
    sigalg = quote(RSA_SHA256, safe="").lower()
    octets = f"{GOOD.replace('%2B', '%2b')}&RelayState=a+b%2f&SigAlg={sigalg}"
    made = pack(signature.sign_bytes(octets.encode(), forge.upstream.key))
    one, state, alg = octets.split("&")
    found = http_bindings.read_redirect(f"Signature={made}&x=y&{alg}&{state}&{one}", "SAMLRequest")
    assert found.relay_state == "a b/"
    assert found.signed is not None
    assert found.signed.octets == octets.encode()
    signature.verify_bytes(
        found.signed.octets, found.signed.signature, found.signed.sigalg, load_keys(forge.upstream.certificate)
    )


BOMB = deflate(b"<" + b" " * 5_000_000)
ALG = "SigAlg=" + quote(RSA_SHA256, safe="")


@pytest.mark.attack(14, 24)
@pytest.mark.parametrize(
    ("query", "cause"),
    [
        ("", "parameter_missing"),
        ("SAMLResponse=x", "parameter_missing"),
        (f"{GOOD}&SAMLResponse=x", "parameter_unexpected"),
        (f"{GOOD}&SAMLEncoding=urn:other", "parameter_unexpected"),
        (f"{GOOD}&{GOOD}", "parameter_twice"),
        (f"{GOOD}&SAML%52equest=x", "parameter_twice"),
        (f"{GOOD}&RelayState=a&RelayState=a", "parameter_twice"),
        (f"{GOOD}&x=1&x=2", "parameter_twice"),
        (GOOD.replace("SAMLRequest", "SAML%52equest"), "query"),
        (f"{GOOD}&RelayState=%zz", "query"),
        (f"{GOOD}&RelayState=%ff", "query"),
        (f"{GOOD}&RelayState=ø", "query"),
        (f"{GOOD}&x={'y' * 70_000}", "query"),
        (f"{GOOD}&RelayState=a%0d%0aSet-Cookie:x", "relay_state"),
        (f"{GOOD}&RelayState=a%00", "relay_state"),
        (f"{GOOD}&RelayState={'y' * 8001}", "relay_state"),
        (f"{GOOD}&{ALG}", "query_signature"),
        (f"{GOOD}&Signature=AAAA", "query_signature"),
        (f"{GOOD}&{ALG}&Signature=", "base64"),
        (f"{GOOD}&{ALG}&Signature=A*AA", "base64"),
        ("SAMLRequest=", "base64"),
        ("SAMLRequest=AAA", "base64"),
        ("SAMLRequest=AAAA%0A", "base64"),
        ("SAMLRequest=AB==", "base64"),
        ("SAMLRequest=Zm9v-_", "base64"),
        (f"SAMLRequest={pack(REQUEST)}", "deflate"),
        (f"SAMLRequest={pack(deflate(REQUEST)[:-3])}", "deflate"),
        (f"SAMLRequest={pack(deflate(REQUEST) + b'<x/>')}", "deflate"),
        (f"SAMLRequest={pack(zlib.compress(REQUEST))}", "deflate"),
        (f"SAMLRequest={pack(BOMB)}", "size"),
    ],
)
def test_no_tricks_with_queries(query: str, cause: str) -> None:
    """Parameters twice, misspelled, half signed, badly encoded, and bombs are refused, each for its own reason."""
    with pytest.raises(MessageRefused) as refusal:
        http_bindings.read_redirect(query, "SAMLRequest")
    assert refusal.value.cause == f"xml.{cause}"


@pytest.mark.attack(13)
def test_a_bomb_is_not_inflated_before_it_is_refused() -> None:
    """Inflating stops at the limit, so memory stays small whatever the message would inflate to."""
    tracemalloc.start()
    try:
        with pytest.raises(MessageRefused, match=r"xml\.size"):
            http_bindings.read_redirect(f"SAMLRequest={pack(BOMB)}", "SAMLRequest")
        assert tracemalloc.get_traced_memory()[1] < 4 * http_bindings.LONGEST
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("at", [20, 76, 1000])
def test_line_breaks_in_a_posted_field_are_no_obstacle(at: int) -> None:
    """Encoders wrap their lines, browsers make CRLF of them."""
    written = base64.b64encode(REQUEST).decode()
    wrapped = "\r\n".join(written[each : each + at] for each in range(0, len(written), at))
    assert http_bindings.decode_post(f" {wrapped}\t\n") == REQUEST


@pytest.mark.attack(14)
@pytest.mark.parametrize(
    ("field", "cause"),
    [
        ("", "base64"),
        (" ", "base64"),
        ("PHg-", "base64"),
        ("PHg+PC94Pg", "base64"),
        ("PHg+=PC94", "base64"),
        ("PHg+\0AAA", "base64"),
        ("PHg+\u00a0AAAA", "base64"),
        ("A" * 400_000, "size"),
    ],
)
def test_no_tricks_with_posted_fields(field: str, cause: str) -> None:
    """Anything but base64 and line breaks is refused, and what is too long before it is decoded."""
    with pytest.raises(MessageRefused) as refusal:
        http_bindings.decode_post(field)
    assert refusal.value.cause == f"xml.{cause}"


@pytest.mark.profile(24)
def test_passport_saml_deflates_what_it_posts() -> None:
    """Its requests are taken where requests are, bounded as in a redirect, and nowhere else."""
    field = base64.b64encode(deflate(REQUEST)).decode()
    assert http_bindings.decode_post(field, deflated=True) == REQUEST
    assert http_bindings.decode_post(field) == deflate(REQUEST)
    assert http_bindings.decode_post(base64.b64encode(REQUEST).decode(), deflated=True) == REQUEST
    with pytest.raises(MessageRefused, match=r"xml\.size"):
        http_bindings.decode_post(base64.b64encode(BOMB).decode(), deflated=True)


@given(raw=st.text(max_size=100))
def test_no_text_raises_anything_else(raw: str) -> None:
    """Any query and any field is taken or refused, and nothing else happens."""
    for read in (
        lambda: http_bindings.read_redirect(raw, "SAMLRequest"),
        lambda: http_bindings.read_redirect(f"SAMLRequest={raw}", "SAMLRequest"),
        lambda: http_bindings.decode_post(raw, deflated=True),
    ):
        try:
            read()
        except MessageRefused as refusal:
            assert refusal.cause.startswith("xml.")  # noqa: PT017 - either outcome is right
