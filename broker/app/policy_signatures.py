"""Whether two people have signed a change of the policies, as the list of signers has them."""

from collections.abc import Sequence
from typing import Final

from broker.adapters.ssh_signatures import Signature, SignatureRefused, SshSignatures
from broker.use_cases.policies.second_person import Signer, may_be_one

_SIGNERS: Final = 2


def two_people(signatures: SshSignatures, given: Sequence[Signature]) -> tuple[str, ...]:
    """Return maker and approver with their keys.

    SignatureRefused where they are one person, or not two, or where a signature does not count.
    ConfigurationFaults where there is no ssh-keygen.
    """
    if len(given) != _SIGNERS:
        what = "more were given"
        if len(given) == 1:
            what = "1 signature was given"
        raise SignatureRefused(f"maker and approver sign, and {what}: give --signed twice")
    one, other = given
    names_of_maker, key = signatures.principals_and_key(one)
    maker = Signer(names_of_maker[0], key)
    names_of_approver, key = signatures.principals_and_key(other)
    approver = Signer(names_of_approver[0], key)
    both = f"{one} and {other} are signed by"
    if maker.key == approver.key:
        raise SignatureRefused(f"{both} one key, {maker.key}")
    # Of one person the list may have several names, and each key with some of them.
    of_maker = any(signatures.speaks_for(other, name) for name in names_of_maker)
    of_approver = any(signatures.speaks_for(one, name) for name in names_of_approver)
    if of_maker or of_approver or may_be_one(names_of_maker, names_of_approver):
        names = f"{maker.principal} and {approver.principal}"
        what = "keys of one person as policy.signers has them"
        raise SignatureRefused(f"{both} {what}: {names}")
    return str(maker), str(approver)
