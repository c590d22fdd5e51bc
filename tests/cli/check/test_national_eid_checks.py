"""Findings of ``broker check`` about NemLog-in as a direct upstream."""

import re
from pathlib import Path

import pytest

from broker.app.assembly import assemble
from broker.cli.check.checks import find_all
from broker.configuration.settings.config import load
from broker.core.errors import ConfigurationFaults
from tests.plugins.eid_deployment import DIRECT


def faults(folder: Path, **more: str) -> list[str]:
    """Give the faults of a configuration with direct NemLog-in and these variables."""
    environ = {**DIRECT, "BROKER_STORE__URL": f"sqlite:{folder.parent / 'broker.db'}", **more}
    with pytest.raises(ConfigurationFaults) as found:
        assemble(load(folder / "broker.toml", environ))
    return [str(each) for each in found.value.faults]


def findings(folder: Path, **more: str) -> list[str]:
    """Give what a careful administrator would want to fix about the national eID."""
    environ = {**DIRECT, "BROKER_STORE__URL": f"sqlite:{folder.parent / 'broker.db'}", **more}
    said = find_all(assemble(load(folder / "broker.toml", environ)))
    return [each for each in said if each.startswith(("upstreams.", "message_log"))]


def test_a_sound_direct_national_eid_has_no_findings(folder: Path) -> None:
    """The shipped map and the demo's metadata are all it needs."""
    assert findings(folder) == []


def test_a_missing_map_is_a_fault(folder: Path) -> None:
    """Else the first login would be the first to know."""
    (folder / "attribute_maps" / "oiosaml3.yaml").unlink()
    assert faults(folder) == [
        "upstreams.nemid.attribute_map: attribute_maps holds no oiosaml3.yaml of an upstream (those are oiosaml2, wayf)"
    ]
    assert "library.yaml" in faults(folder, BROKER_UPSTREAMS__NEMID__ATTRIBUTE_MAP="library")[0]


@pytest.mark.parametrize("lost", ["specVersion", "eduPersonAssurance", "ial", "aal", "cpr"])
def test_a_map_that_loses_what_is_demanded_is_a_fault(folder: Path, lost: str) -> None:
    """Without version or level everybody is refused, without a CPR number nobody becomes a borrower."""
    path = folder / "attribute_maps" / "oiosaml3.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.endswith(f": {lost}\n")))
    (told,) = faults(folder)
    assert told.startswith(f"upstreams.nemid.attribute_map: oiosaml3.yaml has no row for {lost}: everybody")


@pytest.mark.parametrize(("logout", "told"), [("ask", 1), ("always", 1), ("never", 0)])
def test_an_upstream_that_no_logout_reaches_is_a_finding(folder: Path, logout: str, told: int) -> None:
    """Every logout would say that the national eID stays logged in, unless the library leaves it alone."""
    path = folder / "metadata" / "nemlogin.xml"
    path.write_text(re.sub(r"<[a-z0-9:]*SingleLogoutService[^>]*/>", "", path.read_text()))
    said = findings(folder, BROKER_UPSTREAMS__NEMID__LOGOUT=logout)
    assert [each.startswith("upstreams.nemid: it has no SingleLogoutService") for each in said] == [True] * told
