"""Mark the tests that use a fixture which starts a server, a browser or another program.

``make quick`` runs the tests without the marks ``server``, ``slow``, ``full`` and ``long``. A test that starts something itself
carries ``@pytest.mark.server``.

Such a test waits for other processes and threads. If it fails, it is run once more, so that a busy machine refuses no
change; the summary lists it as RERUN with its traceback, and the cause is to be found. An attack, and a test that
starts nothing, is never run again.
"""

from pathlib import Path
from typing import Final

import pytest

ATTACKS: Final = Path(__file__).parent.parent / "attacks"
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
        if item.get_closest_marker("server") and ATTACKS not in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))
