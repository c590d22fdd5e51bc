"""The commands that docs/policies.md shows, as somebody types them beside a folder of policies."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from broker.cli import broker
from broker.demo.run.demo_folder import Setting

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "policies.md"
CONSOLE: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A command of ours, and what it prints; "..." stands for anything.
SHOWN: Final = re.compile(r"^\$ broker (policy .+)\n((?:[^$\n].*\n)*)", re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """Give each command with what it prints."""
    blocks = "".join(CONSOLE.findall(DOCUMENT.read_text(encoding="utf-8")))
    return [(words, printed) for words, printed in SHOWN.findall(blocks) if printed]


@pytest.mark.parametrize(("words", "printed"), commands(), ids=[words for words, _ in commands()])
def test_a_command_prints_what_the_document_shows(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, printed: str
) -> None:
    """In the folder of a configuration, with a draft of its policies, to the end and well."""
    folder = Path(shutil.copytree(setting.folder, tmp_path / "site", ignore=shutil.ignore_patterns("broker.db*")))
    shutil.copytree(folder / "policies", folder / "draft")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BROKER_CONFIG", "broker.toml")
    result = CliRunner().invoke(broker, shlex.split(words), prog_name="broker")
    assert result.exit_code == 0, result.output
    shown = re.escape(printed).replace(re.escape("..."), "(?s:.*)")
    assert re.fullmatch(f"{shown}\n?", result.stdout), result.stdout


def test_the_document_shows_the_commands_of_an_edit() -> None:
    """Check, test, schema and try, each with what it prints."""
    assert {words.split()[1] for words, _ in commands()} >= {"check", "test", "schema", "try"}
