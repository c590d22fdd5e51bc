"""The plugins that every room's tests may use."""

import prometheus_client  # noqa: F401 - read before a test names a folder of shared counts: it looks only once
from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.register_profile("few", deadline=None, max_examples=20)
settings.load_profile("untimed")

pytest_plugins = [
    "tests.plugins.memory_folder",
    "tests.plugins.garbage",
    "tests.plugins.rsa_keys",
    "tests.plugins.servers",
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
