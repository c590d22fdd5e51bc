"""The plugins that every room's tests may use."""

import prometheus_client  # noqa: F401 - read before a test names a folder of shared counts: it looks only once
from hypothesis import HealthCheck, Phase, settings

# Hypothesis has other settings where the variable CI is set; these are the same on every machine.
ANYWHERE = settings.get_profile("default")
# How long an example takes says how busy the machine is.
TIMED = [HealthCheck.too_slow]
settings.register_profile("untimed", ANYWHERE, deadline=None, suppress_health_check=TIMED, derandomize=False)
# The runs of the Makefile tell a failure as it was drawn, and how to draw it again: to look for the smallest took five
# minutes, which can burst the time that the gate has. Who runs the test alone gets the smallest: its failure is kept.
FIRST_FAILURE = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)
settings.register_profile("whole", settings.get_profile("untimed"), phases=FIRST_FAILURE, print_blob=True)
settings.register_profile("few", settings.get_profile("whole"), max_examples=20)
# The gate alone draws by the text of the test, so that a change is not blamed for what an older one did; whatever a
# person starts draws anew, and finds that.
settings.register_profile("gate", settings.get_profile("whole"), derandomize=True, database=None)
settings.load_profile("untimed")

pytest_plugins = [
    f"tests.plugins.{name}"
    for name in (
        "memory_folder",  # the first: it chooses where temporary files lie
        "rsa_keys",
        "server_marks",
        "template_cache",
        "redis_server",
        "saml_messages",
        "saml_parties",
        "deployment",
        "stored_persons",
        "saml_deployment",
        "demo",
        "chromium",
        "firefox",
    )
]
