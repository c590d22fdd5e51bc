"""Keeps the process that gives tests out to workers light: it runs none, and loads none of what they run in."""

from typing import Final

import pytest

# In the order in which they are loaded.
FOR_TESTS: Final = (
    "tests.plugins.brief_reports",
    "tests.plugins.garbage",
    "tests.plugins.argument_names",
    "tests.plugins.hook_proxies",
    "tests.plugins.rsa_keys",
    "tests.plugins.servers",
    "tests.plugins.left_out",
    "tests.plugins.order",
    "tests.plugins.templates",
    "tests.plugins.address_rules",
    "tests.plugins.redis_server",
    "tests.plugins.saml_messages",
    "tests.plugins.saml_parties",
    "tests.plugins.house",
    "tests.plugins.lived",
    "tests.plugins.stage",
    "tests.plugins.demo",
    "tests.plugins.chromium",
    "tests.plugins.firefox",
    "tests.plugins.yaml_trees",  # the last: it changes what the modules loaded so far read with
)
# Now, for the conftest of a folder that is named on the command line imports some of them before they are configured.
pytest.register_assert_rewrite(*FOR_TESTS)


def gives_out(config: pytest.Config) -> bool:
    """Say whether this process leaves all tests to workers, as ``xdist`` decides it."""
    distributed = config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None))
    return distributed and not config.option.collectonly


def pytest_configure(config: pytest.Config) -> None:
    """Load the rest where tests run; late, for some of it keeps things in the cache that pytest has made by now."""
    if not gives_out(config):
        for name in FOR_TESTS:
            config.pluginmanager.import_plugin(name)
