"""Debian's Chromium, one for all tests: two drivers of it cannot live in one process."""

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, sync_playwright

EXECUTABLE: Final = "/usr/bin/chromium"
# Each window made a page of suggestions for its address bar, which nobody sees: more than half of what a window costs.
# The last is a process that waits for the next page.
UNSEEN: Final = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "SpareRendererForSitePerProcess")
# What Playwright turns off: only the last list that Chromium is given counts.
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
    "msForceBrowserSignIn",
    "msEdgeUpdateLaunchServicesPreferredVersion",
)
TURNED_OFF: Final = f"--disable-features={','.join((*BY_PLAYWRIGHT, *UNSEEN))}"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Give Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=EXECUTABLE,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                # It kills what draws the pages where that has no turn for long, as on a busy machine.
                "--disable-gpu-watchdog",
                "--disable-quic",
                "--disable-background-networking",
                "--no-first-run",
                TURNED_OFF,
            ],
        )
        yield browser
        browser.close()
