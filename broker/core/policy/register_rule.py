"""What a policy has done with a person's answer from the register of persons."""

from dataclasses import dataclass
from typing import Literal

# The words of a policy file; borrower_schema.py reads them from here.
AddressWriting = Literal["never", "set_if_empty", "always"]
NameWriting = Literal["never", "if_empty"]
UnderGuardianship = Literal["make", "case"]


@dataclass(frozen=True, slots=True)
class RegisterRule:
    """The rule by which a borrower is held against the register of persons.

    ``address`` and ``name`` say when they are written to the borrower, ``under_guardianship``
    whether staff have to look at the borrower of a person who has a guardian.

    Source: docs/person-register.md.
    """

    address: AddressWriting = "never"
    name: NameWriting = "never"
    under_guardianship: UnderGuardianship = "make"
