"""The commands that docs/policies.md shows, as somebody types them beside a folder of policies."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Final

import click
import pytest
from _pytest.mark import ParameterSet
from click.testing import CliRunner

from broker.cli.main import broker
from broker.cli.policy.policy_check import policy
from broker.demo.run.demo_folder import Setting

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "policies.md"
CONSOLE: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A command of the broker, and its output; "..." stands for anything.
SHOWN: Final = re.compile(r"^\$ broker (policy .+)\n((?:[^$\n].*\n)*)", re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """Give each command with what it prints."""
    blocks = "".join(CONSOLE.findall(DOCUMENT.read_text(encoding="utf-8")))
    return [(words, printed) for words, printed in SHOWN.findall(blocks) if printed]


def stop_releasing(path: Path) -> None:
    """Do in a file what the job of the document does."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if "So that you can be told about your balance" not in line]
    path.write_text("".join(kept).replace("displayName, mail]}", "displayName]}"), encoding="utf-8")


def cases() -> list[ParameterSet]:
    """Give the commands as cases; a comparison of every kind of login is a slow one."""
    slow = pytest.mark.slow
    return [
        pytest.param(words, printed, id=words, marks=slow if words.startswith("policy diff") else ())
        for words, printed in commands()
    ]


@pytest.mark.long("analyses the policies of the document")
@pytest.mark.parametrize(("words", "printed"), cases())
def test_a_command_prints_what_the_document_shows(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, printed: str
) -> None:
    """In the folder of a configuration, with a draft of its policies, to the end and well."""
    folder = Path(shutil.copytree(setting.folder, tmp_path / "site", ignore=shutil.ignore_patterns("broker.db*")))
    shutil.copytree(folder / "policies", folder / "draft")
    if words.startswith("policy diff"):
        stop_releasing(folder / "draft" / "student.yaml")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BROKER_CONFIG", "broker.toml")
    result = CliRunner().invoke(broker, shlex.split(words), prog_name="broker")
    assert result.exit_code == (3 if words.startswith("policy diff") else 0), result.output
    shown = re.escape(printed).replace(re.escape("..."), "(?s:.*)")
    assert re.fullmatch(f"{shown}\n?", result.stdout), result.stdout


def test_the_document_names_commands_and_options_that_there_are() -> None:
    """Those too that it shows without what they print."""
    named = re.findall(r"\$ broker policy (\w+)(.*)", DOCUMENT.read_text(encoding="utf-8"))
    assert {name for name, _ in named} >= {"check", "test", "schema", "try", "diff"}
    for name, words in named:
        command = policy.get_command(click.Context(policy), name)
        assert command, name
        known = {option for each in command.params for option in each.opts}
        assert set(re.findall(r" (--\w+)", words)) <= known
