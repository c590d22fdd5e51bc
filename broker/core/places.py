"""Where in the policy files something stands."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """A line of a policy file."""

    file: str
    line: int

    def __str__(self) -> str:
        """Give ``student.yaml:12``."""
        return f"{self.file}:{self.line}"
