"""How many random examples a test runs: a fifth in ``make quick``, and fewer before a merge if it says so."""

from typing import Final

from hypothesis import HealthCheck, settings

# Health checks to suppress in a property test that uses a fixture. The list of a test replaces that of
# tests/conftest.py, so it repeats ``too_slow``: the time of an example only shows how busy the machine is.
BESIDE_FIXTURES: Final = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
_WHOLE: Final = 100  # Hypothesis' default number of examples, which ``make test`` keeps


def scale_examples(examples: int) -> int:
    """Return how many of ``examples`` this run tries."""
    return max(1, examples * min(settings().max_examples, _WHOLE) // _WHOLE)


def choose_size(fewer: int, *, otherwise: int) -> int:
    """Return ``fewer`` before a merge, and ``otherwise`` in a run that a person starts.

    Use it only if the test finds as many deliberate faults with the smaller size: the run before a merge always draws
    the same examples, so a fault that they do not show is merged.
    """
    return fewer if settings.get_current_profile_name() == "gate" else otherwise
