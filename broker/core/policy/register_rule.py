"""What a policy has done with a person's answer from the register of persons."""

from dataclasses import dataclass
from typing import Literal

# The words of a policy file; borrower_schema.py reads them from here.
AddressWriting = Literal["never", "set_if_empty", "always"]


@dataclass(frozen=True, slots=True)
class RegisterRule:
    """The rule by which the register's address is written to the borrower.

    Source: docs/person-register.md.
    """

    address: AddressWriting = "never"
