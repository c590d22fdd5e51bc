"""The plugins that every room's tests may use."""

pytest_plugins = [
    "tests.plugins.attack_classes",
    "tests.plugins.redis_server",
    "tests.plugins.saml_messages",
    "tests.plugins.saml_parties",
    "tests.plugins.house",
    "tests.plugins.stage",
    "tests.plugins.demo",
    "tests.plugins.chromium",
    "tests.plugins.pin_bench",
]
