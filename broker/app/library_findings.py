"""What `broker check` finds of a library system: what breaks a promise, and what it lacks."""

from collections.abc import Iterator
from typing import Final

from broker.app.assembly import Parts, now
from broker.core.borrowers.library_system import ExpectedSetup, LibraryCapability
from broker.use_cases.borrowers.library_proof import PROOF

_DOWN: Final = "see library.url, and whether the library system is up"
_UNAVAILABLE: Final = "unavailable"  # the setting of a fault, where the library system is down
_NEVER: Final = (
    'with "never" the library system must lock an account after some wrong PINs, because nothing '
    "else stops guesses (Koha: FailedLoginAttempts)"
)
_UNPROVED: Final = "the library system does not say whether a PIN is right"


def findings(parts: Parts) -> Iterator[str]:
    """Yield what the set-up lacks, then what rests on something that the system cannot do."""
    expected = ExpectedSetup.of(parts.policies.current)
    for fault in parts.library.prove(expected, now() + PROOF):
        mend = ""
        if fault.setting == _UNAVAILABLE:
            mend = f" ({parts.config.library.url}: {_DOWN})"
        yield f"library: {fault}{mend}"
    capabilities = parts.library.capabilities
    if LibraryCapability.UNIQUE_CPR not in capabilities:
        what = "of two borrowers made for one person at one time it refuses none"
        yield f"library.system: {what}; they become a case (broker enrolments list)"
    if LibraryCapability.PIN_CHECKED not in capabilities:
        yield from _pins(parts)
    if parts.config.library_account.mail_code == "never":
        yield f"library_account.mail_code: {_NEVER}"


def _pins(parts: Parts) -> Iterator[str]:
    """Yield what rests on a PIN that nobody can check."""
    for service in parts.services.values():
        for name in service.methods:
            if parts.upstreams[name].local:
                what = f"{_UNPROVED}, and nobody logs in by {name}"
                yield f"services.{service.name}: {what}; take it out of methods"


def trial_findings(parts: Parts) -> Iterator[str]:
    """Yield what trial borrowers show, then what they could not show."""
    expected = ExpectedSetup.of(parts.policies.current)
    trial = parts.library.try_setup(expected, now() + PROOF)
    yield from (f"library: {fault}" for fault in trial.faults)
    yield from (f"not proven: {sentence}" for sentence in trial.not_proven)
