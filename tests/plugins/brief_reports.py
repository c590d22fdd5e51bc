"""Lets a worker tell of each test two messages instead of six: all workers wait for the one process that reads them.

It keeps no log beside them where no test asks for one: to listen to each of two hundred loggers, three times a test,
takes as long as to run many of them. Who runs a test alone is shown what it logged.
"""

import logging
from typing import Final

import pytest
from _pytest.runner import runtestprotocol

# Whoever gives one of these wants to hear of every step of a test, or of the first failure before the test has ended.
ASKED_FOR_ALL: Final = ("durations", "xmlpath", "maxfail", "setupshow")


def is_brief(config: pytest.Config) -> bool:
    """Say whether this is a worker, and nobody has asked for more than which tests failed."""
    asked = any(config.getoption(name, None) for name in ASKED_FOR_ALL)
    return hasattr(config, "workerinput") and config.get_verbosity() <= 0 and not asked


def is_read(report: pytest.TestReport) -> bool:
    """Say whether anybody reads a report: setting up and tearing down are shown only where they fail."""
    return report.when == "call" or not report.passed


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test as pytest does, and tell what is read."""
    if not is_brief(item.config):
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if is_read(report):
            item.ihook.pytest_runtest_logreport(report=report)
    return True


def pytest_collection_finish(session: pytest.Session) -> None:
    """Listen to no logger where nobody reads it."""
    config = session.config
    if not is_brief(config) or any("caplog" in getattr(item, "fixturenames", ()) for item in session.items):
        return
    config.pluginmanager.unregister(name="logging-plugin")
    logging.getLogger().addHandler(logging.NullHandler())  # without any it would go to the error output
