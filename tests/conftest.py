"""The plugins that all tests may use, and the profiles of random tests."""

import prometheus_client  # noqa: F401 - read before a test names a folder of shared counts: it looks only once
import pytest
from hypothesis import HealthCheck, Phase, settings

# Hypothesis changes its settings where the variable CI is set. These are the same on every machine.
ANYWHERE = settings.get_profile("default")
# The time of an example depends on how busy the machine is.
TIMED = [HealthCheck.too_slow]
settings.register_profile("untimed", ANYWHERE, deadline=None, suppress_health_check=TIMED, derandomize=False)
# The runs of the Makefile print a failure as it was drawn, and how to repeat it. They do not search for the smallest
# failure, which took five minutes. A test that is run by hand searches for it: the failure is stored.
FIRST_FAILURE = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)
settings.register_profile("whole", settings.get_profile("untimed"), phases=FIRST_FAILURE, print_blob=True)
settings.register_profile("few", settings.get_profile("whole"), max_examples=20)
# .ci/run draws by the text of the test, so that a change is not blamed for an older fault. A run by hand draws at random
# and finds such faults.
settings.register_profile("gate", settings.get_profile("whole"), derandomize=True, database=None)
settings.load_profile("untimed")


def uses_session_server(item: pytest.Item) -> bool:
    """Return whether a test uses a server that takes seconds to start and that each worker starts for itself."""
    return not {"interop", "demo"}.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that use such a server first, so that one worker runs them all."""
    items.sort(key=lambda item: not uses_session_server(item))


pytest_plugins = [
    f"tests.plugins.{name}"
    for name in (
        "memory_folder",  # the first: it chooses where temporary files lie
        "rsa_keys",
        "server_marks",
        "template_cache",
        "redis_server",
        "saml_parties",
        "saml_messages",
        "deployment",
        "stored_persons",
        "saml_deployment",
        "demo",
        "chromium",
        "firefox",
    )
]
