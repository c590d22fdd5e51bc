"""The mail address that is shown to be the person's: their institution's own, or one that they proved."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.entities import Assurance, Institution
from broker.core.identity.mailbox_proofs import MailboxProof, find_asserted_address, find_proved_address

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
AU = Institution("https://idp.au.example", scopes=("au.dk",))


@pytest.mark.parametrize(
    ("mail", "address"),
    [
        (("asta@au.dk",), "asta@au.dk"),
        (("asta@post.au.dk",), "asta@post.au.dk"),
        (("asta@AU.dk",), "asta@au.dk"),
        (("asta@gmail.example", "asta@au.dk"), "asta@au.dk"),
        (("bo@au.dk", "asta@au.dk"), "asta@au.dk"),
        (("asta@evil-au.dk",), None),
        (("asta@au.dk.evil.example",), None),
        (("asta@ku.dk",), None),
        (("asta@gmail.example",), None),
        (("0101901234@au.dk",), None),
        (("010190-1234@au.dk",), None),
        (("a b@au.dk",), None),
        ((), None),
    ],
)
def test_an_institution_vouches_for_its_own_domains(mail: tuple[str, ...], address: str | None) -> None:
    """A scope or a domain below it; the alphabetically first address; none with a number."""
    assert find_asserted_address(mail, Assurance.LOW, AU) == address


@pytest.mark.parametrize(
    ("institution", "assurance"),
    [
        (replace(AU, national_eid=True), Assurance.HIGH),
        (AU, Assurance.SELF_ASSERTED),
        (AU, None),
        (replace(AU, scopes=()), Assurance.LOW),
        (None, Assurance.LOW),
    ],
    ids=["a national eID", "self-asserted", "no level", "no scope", "no institution"],
)
def test_an_address_that_somebody_typed_is_nobodys(
    institution: Institution | None, assurance: Assurance | None
) -> None:
    """A self-asserted address, or one at the national eID, may be another person's."""
    assert find_asserted_address(["asta@au.dk"], assurance, institution) is None


@pytest.mark.parametrize(
    ("mail", "scopes", "address"),
    [
        ("chief@lib.au.dk", ("lib.au.dk",), None),
        ("chief@post.lib.au.dk", ("lib.au.dk",), None),
        ("asta@post.au.dk", ("lib.au.dk",), "asta@post.au.dk"),
        ("asta@au.dk", ("lib.au.dk",), "asta@au.dk"),
        ("asta@au.dk", ("au.dk",), "asta@au.dk"),
        ("chief@lib.au.dk", ("dk",), "chief@lib.au.dk"),
    ],
)
def test_an_address_below_is_its_own_institutions(mail: str, scopes: tuple[str, ...], address: str | None) -> None:
    """A university names nobody of an institution whose domain lies below its own."""
    library = Institution("https://idp.lib.au.example", scopes=scopes)
    assert find_asserted_address([mail], Assurance.LOW, AU, (AU, library)) == address
    alone = find_asserted_address([mail], Assurance.LOW, AU, (AU,))
    assert alone == mail


def proof(name: str, address: str, lasts: timedelta = timedelta(days=1)) -> MailboxProof:
    """Give a proof of an address."""
    return MailboxProof(name, address, NOW, NOW + lasts)


@pytest.mark.parametrize(
    ("proofs", "address"),
    [
        ((proof("kaldemail", "nurse@auh.rm.dk"),), "nurse@auh.rm.dk"),
        ((proof("kaldemail", "nurse@auh.rm.dk", timedelta()),), None),
        ((proof("mail", "family@own.example"),), None),
        ((proof("b", "b@rm.dk"), proof("a", "a@rm.dk")), "a@rm.dk"),
        ((proof("kaldemail", "0101901234@rm.dk"),), None),
        ((), None),
    ],
)
def test_a_proof_that_holds_is_one_persons(proofs: tuple[MailboxProof, ...], address: str | None) -> None:
    """The proof of an address to write to is not: a family may share it, and each prove that they read it."""
    assert find_proved_address(proofs, NOW) == address
