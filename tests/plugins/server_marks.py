"""Mark the tests that use a fixture which starts a server, a browser or another program.

``make quick`` runs the tests without the marks ``server``, ``slow``, ``full`` and ``long``. A test that starts something itself
carries ``@pytest.mark.server``.
"""

from typing import Final

import pytest

FIXTURES: Final = frozenset(
    {
        "browser",
        "chromium",
        "demo",
        "firefox",
        "deployment",
        "interop",
        "shared_deployment",
        "redis_cluster",
        "redis_server",
        "saml_deployment",
    }
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set the mark before ``-m`` chooses by it."""
    for item in items:
        if not FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)
