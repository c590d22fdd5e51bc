"""A mailbox proved by a real mail, over a real store: what is sent, what it proves, and when it does not."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import AddressRefused, CodeRefused
from tests.plugins.mailbox_proof_bench import DOMAINS, NURSE, MailServer, ProofBench, open_bench, run_mail_server

pytestmark = pytest.mark.server

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def post() -> Iterator[MailServer]:
    """Give a mail server."""
    with run_mail_server() as found:
        yield found


@pytest.fixture
def bench(tmp_path: Path, post: MailServer) -> ProofBench:
    """Give an empty store and an empty mailbox."""
    return open_bench(tmp_path, post)


def cause(error: pytest.ExceptionInfo[Any]) -> str:
    """Give the code of what was raised."""
    return str(error.value.cause)


def test_a_later_proof_takes_the_place_of_the_earlier_of_its_name(bench: ProofBench) -> None:
    """A person has one address for each proof; proofs of another name stay."""
    for name, address in (("mail", "ann@post.example"), ("kaldemail", NURSE), ("kaldemail", "ann@ps.rm.dk")):
        context = bench.mail_code(bench.login(), address=address, name=name)
        bench.try_code(context, bench.read_mailed_code(), domains=(), name=name)
    proofs = bench.list_valid_proofs("ann")
    assert [each.address for each in proofs] == ["ann@post.example", "ann@ps.rm.dk"]


def test_a_code_for_one_proof_is_no_other_proof(bench: ProofBench) -> None:
    """A code for the contact address does not make its domain a workplace."""
    context = bench.mail_code(bench.login(), name="mail")
    with pytest.raises(CodeRefused):
        bench.try_code(context, bench.read_mailed_code(), name="kaldemail")


def test_a_code_lasts_half_an_hour(bench: ProofBench) -> None:
    """The mail says how long; at the end the code is void."""
    context = bench.mail_code(bench.login())
    code = bench.read_mailed_code()
    assert "for 30 minutes" in bench.mailbox.mails()[0].text
    assert context.transaction.mailing is not None
    bench.now += 30 * MINUTE
    assert context.transaction.mailing.until == bench.now
    with pytest.raises(CodeRefused) as refused:
        bench.try_code(context, code)
    assert cause(refused) == "code_none"


def test_a_domain_that_no_longer_counts_proves_nothing(bench: ProofBench) -> None:
    """The policy of the moment at which the code is typed decides."""
    context = bench.mail_code(bench.login())
    with pytest.raises(AddressRefused) as refused:
        bench.try_code(context, bench.read_mailed_code(), domains=DOMAINS[1:])
    assert cause(refused) == "address_other_domain"
    assert bench.reread(context).proofs == bench.list_valid_proofs("ann") == ()


def test_a_contact_address_may_be_shared(bench: ProofBench) -> None:
    """A family has one mailbox: only proofs that make somebody something are one person's."""
    for owner in ("ann", "bo"):
        context = bench.mail_code(bench.login(), owner, "family@post.example", name="mail")
        assert bench.try_code(context, bench.read_mailed_code(), owner, domains=(), name="mail").transaction.proofs
