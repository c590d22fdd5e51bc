"""The version, the changelog and the kept records agree, so that the commit can be tagged."""

import re
import tomllib

from click.testing import CliRunner

from broker.app.readiness import RELEASE
from broker.cli.main import broker
from tests.plugins.released_records import FOLDER
from tests.plugins.source_files import ROOT, text_of


def read_sections() -> dict[str, str]:
    """Give the sections of the changelog by version, newest first."""
    _, *parts = re.split(r"^## (.+)$", text_of(ROOT / "CHANGELOG.md"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_the_version_is_that_of_the_project_file() -> None:
    """The command line and the report to the other machines; where they differ: make venv."""
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    assert CliRunner().invoke(broker, ["--version"]).output == f"broker {project['version']}\n"
    assert project["version"] == RELEASE


def test_the_changelog_says_what_each_upgrade_asks() -> None:
    """The newest section is that of the present version. A line of each section says what the upgrade asks."""
    sections = read_sections()
    assert next(iter(sections)) == RELEASE
    assert [name for name, text in sections.items() if "\n**Upgrading**: " not in text] == []


def test_every_version_has_its_records() -> None:
    """A later release must read them (tests/plugins/released_records.py)."""
    assert set(read_sections()) == {path.stem for path in FOLDER.glob("*.json")}
