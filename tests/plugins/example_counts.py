"""How much is drawn at random: what a test names, a fifth of it by ``make quick``, at the gate less if it says so."""

from typing import Final

from hypothesis import HealthCheck, settings

# What Hypothesis need not check of a test that draws beside a fixture. What a test says of it stands in place of what
# tests/conftest.py does, so here too: how long a draw takes says how busy the machine is.
BESIDE_FIXTURES: Final = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
_WHOLE: Final = 100  # what Hypothesis draws where nothing is said, and what ``make test`` leaves so


def scale_examples(examples: int) -> int:
    """Give how many examples this run draws of so many."""
    return max(1, examples * min(settings().max_examples, _WHOLE) // _WHOLE)


def choose_size(fewer: int, *, otherwise: int) -> int:
    """Give the size of a test that a change waits for; it is the other where a person runs it.

    Only for a test that finds as many faults at it, put in on purpose: the gate draws the same each time, and a fault
    that its draw does not show is merged.
    """
    return fewer if settings.get_current_profile_name() == "gate" else otherwise
