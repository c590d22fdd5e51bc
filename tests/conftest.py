"""The plugins that every room's tests may use."""

import prometheus_client  # noqa: F401 - read before a test names a folder of shared counts: it looks only once
from hypothesis import Phase, settings

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
# The runs of the Makefile tell a failure as it was drawn, and how to draw it again: to look for the smallest took five
# minutes, which can burst the time that the gate has. Who runs the test alone gets the smallest: its failure is kept.
# No run draws by a fixed seed: it would prove the same examples for ever, and each run of the gate tries others.
FIRST_FAILURE = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)
settings.register_profile("whole", deadline=None, phases=FIRST_FAILURE, print_blob=True)
settings.register_profile("few", settings.get_profile("whole"), max_examples=20)
settings.load_profile("untimed")

pytest_plugins = [
    "tests.plugins.memory_folder",
    "tests.plugins.garbage",
    "tests.plugins.rsa_keys",
    "tests.plugins.servers",
    "tests.plugins.order",
    "tests.plugins.templates",
    "tests.plugins.yaml_trees",
    "tests.plugins.attack_classes",
    "tests.plugins.redis_server",
    "tests.plugins.saml_messages",
    "tests.plugins.saml_parties",
    "tests.plugins.house",
    "tests.plugins.lived",
    "tests.plugins.stage",
    "tests.plugins.demo",
    "tests.plugins.chromium",
    "tests.plugins.firefox",
    "tests.plugins.pin_bench",
]
