"""Library systems are found by entry point, an unknown one named beside those installed."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.adapters.library_systems.library_settings import read_settings
from broker.configuration.settings.tables import LibraryTable
from broker.core.borrowers.library_setup import LibraryCapability, ignore_call
from broker.core.errors import ConfigurationFaults
from tests.conformance import third_party

Settings = Callable[..., dict[str, object]]
SILENT = """
class Settings:
    fields = frozenset()

    @classmethod
    def read(cls, settings):
        return cls()

    def open(self, observe):
        return object()
"""


@pytest.fixture(name="installed")
def _install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install three distributions, as pip would leave them on the path."""
    koha = "broker.adapters.library_systems.koha.koha_library:KohaSettings"
    entries = {
        "one": f"tried = {koha}\ndoubled = {koha}\n",
        "two": "doubled = somewhere.else:Settings\nbefore = types:SimpleNamespace\n",
        "three": "silent = silent_library:Settings\n",
    }
    (tmp_path / "silent_library.py").write_text(SILENT)
    for name, lines in entries.items():
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[broker.library_systems]\n{lines}")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installed")
def test_an_unknown_system_is_told_what_there_is() -> None:
    """A typing error shows the names that would do."""
    with pytest.raises(ConfigurationFaults, match=r"library.system: no connector for 'kohaa' \(installed: .*tried"):
        read_settings("kohaa", {}).open(ignore_call)


@pytest.mark.usefixtures("installed")
def test_a_name_claimed_twice_is_refused() -> None:
    """Which of two packages writes borrowers must not depend on the order of a path."""
    with pytest.raises(ConfigurationFaults, match="2 connectors are installed for 'doubled'"):
        read_settings("doubled", {}).open(ignore_call)


def test_a_third_partys_package_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is written from docs/library-systems.md: the broker needs to know no more of it."""
    package = Path(third_party.__path__[0])
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    installed = tmp_path / "paper_shelf-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    (entry,) = project["entry-points"]["broker.library_systems"].items()
    (installed / "entry_points.txt").write_text("[broker.library_systems]\n{} = {}\n".format(*entry))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(package)
    table = LibraryTable.model_validate({"system": "paper_shelf", "url": "https://a.example", "database_file": "x"})
    read = read_settings(table.system, table.connector_settings())
    opened = read.open(ignore_call)
    assert LibraryCapability.PIN_CHECKED in opened.capabilities
    assert read.fields == {"surname", "firstname", "email"}
    with pytest.raises(ConfigurationFaults, match=r"(?s)library\.shelf: is no key.*library\.database_file: must be"):
        read_settings("paper_shelf", {"shelf": "x"})
