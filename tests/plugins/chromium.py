"""Starts Debian's Chromium once for all tests: a process can hold only one Playwright driver."""

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, sync_playwright

EXECUTABLE: Final = "/usr/bin/chromium"
# Features that cost time and that no test sees: the suggestion pages of the address bar, which take more than half of
# the time to open a window, the spare process for the next page, and a process for each site.
UNSEEN: Final = (
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "SpareRendererForSitePerProcess",
    "IsolateOrigins",
    "site-per-process",
)
# The features that Playwright turns off in Chromium, which uses only the last list that it receives.
BY_PLAYWRIGHT: Final = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "TcpPortRandomizationWin",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
)
TURNED_OFF: Final = f"--disable-features={','.join((*BY_PLAYWRIGHT, *UNSEEN))}"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Return Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=EXECUTABLE,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                # The watchdog kills the drawing process when it gets no processor time on a busy machine.
                "--disable-gpu-watchdog",
                "--disable-quic",
                "--disable-site-isolation-trials",
                TURNED_OFF,
            ],
        )
        yield browser
        browser.close()
