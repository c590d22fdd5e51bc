"""Reading an address as a person types it: what is taken, what is refused and why, and what may never come out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import AddressRefused
from broker.core.identity.mail_addresses import (
    LONGEST,
    check_typed_address,
    fold_mailbox,
    mask_address,
    normalize_address,
)

DOMAINS = ("auh.rm.dk", "aarhus.rm.dk")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("x@auh.rm.dk", "x@auh.rm.dk"),
        ("MIXED@AUH.RM.DK", "MIXED@auh.rm.dk"),
        ("  x@auh.rm.dk\r\n", "x@auh.rm.dk"),
        ("\u00a0\u200bx@auh.rm.dk\ufeff ", "x@auh.rm.dk"),
        ("mailto:x@auh.rm.dk", "x@auh.rm.dk"),
        ("MailTo: x@auh.rm.dk", "x@auh.rm.dk"),
        ("ann-marie.o'brien_2@aarhus.rm.dk", "ann-marie.o'brien_2@aarhus.rm.dk"),
    ],
)
def test_a_plain_address_in_a_domain_that_counts_is_taken(text: str, address: str) -> None:
    """Spaces of a paste and a mail link's scheme fall away, the domain is written small, the rest is left alone."""
    assert check_typed_address(text, DOMAINS) == address


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "address_empty"),
        (" \t\u200b", "address_empty"),
        ("mailto:", "address_empty"),
        ("x" * 65 + "@auh.rm.dk", "address_too_long"),
        ("x@" + "a." * 130 + "dk", "address_too_long"),
        ("x", "address_without_at"),
        ("xauh.rm.dk", "address_without_at"),
        ("@auh.rm.dk", "address_not_plain"),
        ("x@", "address_not_plain"),
        ("x@auh", "address_not_plain"),
        ("x@y@auh.rm.dk", "address_not_plain"),
        ("x y@auh.rm.dk", "address_not_plain"),
        ("x@auh.rm.dk y@auh.rm.dk", "address_not_plain"),
        ("x@auh.rm.dk,y@auh.rm.dk", "address_not_plain"),
        ("x\r\nBcc: y@auh.rm.dk", "address_not_plain"),
        ("x\x00@auh.rm.dk", "address_not_plain"),
        ('"x y"@auh.rm.dk', "address_not_plain"),
        ('"x@auh.rm.dk"@evil.example', "address_not_plain"),
        ("Ann <x@auh.rm.dk>", "address_not_plain"),
        ("<x@auh.rm.dk>", "address_not_plain"),
        ("x(a comment)@auh.rm.dk", "address_not_plain"),
        ("x@[127.0.0.1]", "address_not_plain"),
        ("x@127.0.0.1", "address_not_plain"),
        (".x@auh.rm.dk", "address_not_plain"),
        ("x..y@auh.rm.dk", "address_not_plain"),
        ("x@auh.rm.dk.", "address_not_plain"),
        ("x@auh..rm.dk", "address_not_plain"),
        ("\u0445@auh.rm.dk", "address_not_plain"),  # a Cyrillic letter that looks like an x
        ("søren@auh.rm.dk", "address_not_plain"),
        ("x%evil.example@auh.rm.dk", "address_not_plain"),  # old servers send it on to another mailbox
        ("evil.example!x@auh.rm.dk", "address_not_plain"),
        ("ann.holm+au@aarhus.rm.dk", "address_not_plain"),  # a second name of a mailbox that proves already
        ("x/y@auh.rm.dk", "address_not_plain"),
        ("x@rm.dk", "address_other_domain"),
        ("x@auh.rm.dk.evil", "address_other_domain"),
        ("x@auh.rm.dk.evil.com", "address_other_domain"),
        ("x@sub.auh.rm.dk", "address_other_domain"),
        ("x@evilauh.rm.dk", "address_other_domain"),
        ("x@auh-rm.dk", "address_other_domain"),
        ("auh.rm.dk@evil.example", "address_other_domain"),
        ("x@xn--auh-cyc.rm.dk", "address_other_domain"),
        ("x@\u0430uh.rm.dk", "address_other_domain"),  # a Cyrillic letter that looks like an a
        ("x@\uff41uh.rm.dk", "address_other_domain"),  # full width, which IDNA reads as a plain one
        ("x@auh.rm.d\u212a", "address_other_domain"),  # a Kelvin sign, whose small letter is a plain one
        ("x@auh\u3002rm.dk", "address_other_domain"),  # an ideographic full stop, which IDNA reads as a dot
        ("0101881235@auh.rm.dk", "address_cpr"),
        ("ann-010188-1235@auh.rm.dk", "address_cpr"),
        ("010188-1235", "address_cpr"),
    ],
)
def test_anything_else_is_refused_with_its_cause(text: str, cause: str) -> None:
    """Each kind of fault has its own code, so that the page can say what to fix (R17)."""
    with pytest.raises(AddressRefused) as refused:
        check_typed_address(text, DOMAINS)
    assert refused.value.cause == cause
    assert not text.strip() or text not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("kim@post.example", "kim@post.example"),
        ("kim@Blåbær.example", "kim@xn--blbr-roah.example"),
        ("kim@sub.post.example", "kim@sub.post.example"),
        ("kim+library@post.example", "kim+library@post.example"),
    ],
)
def test_without_domains_any_domain_will_do(text: str, address: str) -> None:
    """An address to write to may be anywhere; its domain comes out in ASCII, as the wire wants it."""
    assert check_typed_address(text, ()) == address


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ("x" * 64 + "@auh.rm.dk", True),
        ("x" * 65 + "@auh.rm.dk", False),
        ("x@" + f"{'a' * 61}." * 4 + "dk", True),
        ("x@a.dk", True),
        ("x@dk", False),
        ("x@a.1", False),
        ("x@a-.dk", False),
        ("x@-a.dk", False),
        ("x@" + "a" * 63 + ".dk", True),
        ("x@" + "a" * 64 + ".dk", False),
        ("auh.rm.dk", False),
        ("@auh.rm.dk", False),
    ],
)
def test_a_plain_address_is_of_the_length_that_mail_has(text: str, is_plain: bool) -> None:
    """64 characters before the @, 63 a label, two labels, and no number in place of the last (RFC 5321, RFC 3696)."""
    assert (normalize_address(text) is not None) is is_plain


@pytest.mark.parametrize("more", [0, 1])
def test_an_address_has_254_characters_at_most(more: int) -> None:
    """As it goes on the wire: letters that IDNA spells out count as what they become."""
    whole = f"{'x' * 64}@{'a' * 61}.{'b' * 61}.{'c' * 61}.{'d' * (3 + more)}"
    assert len(whole) == LONGEST + more
    assert (normalize_address(whole) is not None) is (more == 0)


@pytest.mark.parametrize(
    ("address", "shown"),
    [("kim@post.example", "k•••@p•••"), ("k@p.example", "k•••@p•••"), ("søren.å@blåbær.example", "s•••@b•••")],
)
def test_a_masked_address_is_recognised_by_its_owner_only(address: str, shown: str) -> None:
    """The first letters, and as many dots whatever the length."""
    assert mask_address(address) == shown


ODD = st.text(alphabet=st.sampled_from('ab.+@"<>() \r\n\x00\u00a0\u0430\uff41\u3002K\u212aauh.rm.dk'), max_size=30)


@given(text=ODD | st.text(max_size=40) | ODD.map(lambda front: f"{front}@auh.rm.dk"))
def test_an_accepted_address_is_plain_and_in_an_accepted_domain(text: str) -> None:
    """It has one @, and nothing in it could end a line or a command."""
    try:
        address = check_typed_address(text, DOMAINS)
    except AddressRefused:
        return
    assert address.count("@") == 1
    assert any(address.endswith(f"@{domain}") for domain in DOMAINS)
    assert address.isascii()
    assert address.isprintable()
    assert not set(address.rpartition("@")[0]) & set(' "<>()[],;:\\%!+/=')
    assert check_typed_address(address, DOMAINS) == address
    assert normalize_address(address) == address
    assert len(address) <= LONGEST


@pytest.mark.parametrize("spelling", ["Ann@auh.rm.dk", "ann+1@auh.rm.dk", "ANN+a+b@AUH.rm.dk"])
def test_the_spellings_of_one_mailbox_are_one(spelling: str) -> None:
    """Capitals and what follows a plus make no second mailbox; another name does, and so does a bare plus."""
    assert fold_mailbox(spelling) == fold_mailbox("ann@auh.rm.dk")
    assert fold_mailbox("anna@auh.rm.dk") != fold_mailbox("ann@auh.rm.dk")
    assert fold_mailbox("+a@auh.rm.dk") != fold_mailbox("+b@auh.rm.dk")
