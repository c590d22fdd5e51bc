"""``broker init``: what it writes, what it refuses, and that the documents show what it writes."""

import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from broker.cli.main import broker
from broker.configuration.checked_files import FILL_IN
from broker.configuration.settings import new_folder
from broker.configuration.settings.config import load
from broker.core.errors import ConfigurationFaults

ROOT: Final = Path(__file__).resolve().parents[2]
CONSOLE: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOML: Final = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def init(*words: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(broker, ["init", *words], prog_name="broker")


@pytest.fixture(scope="module")
def init_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that was written once, for tests that only look."""
    folder = tmp_path_factory.mktemp("init") / "library"
    assert init(str(folder)).exit_code == 0
    return folder


def test_it_writes_all_that_a_broker_reads_and_nothing_is_open_to_others(init_folder: Path) -> None:
    """Keys, secrets and broker.toml for their owner only; the shipped policies and maps as they are."""
    assert {path.name for path in init_folder.iterdir()} == set(new_folder.WRITTEN)
    for path in (
        init_folder,
        init_folder / "broker.toml",
        *(init_folder / "keys").rglob("*"),
        *(init_folder / "secrets").rglob("*"),
    ):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    for shipped in ("policies", "attribute_maps"):
        for path in (ROOT / shipped).iterdir():
            assert (init_folder / shipped / path.name).read_bytes() == path.read_bytes()


def open_places(path: str, value: Any) -> list[str]:
    """Give the places of a tree that are to be filled in, as faults name them."""
    if isinstance(value, dict):
        return [place for key, below in value.items() for place in open_places(f"{path}.{key}", below)]
    if isinstance(value, list):
        return [place for number, below in enumerate(value) for place in open_places(f"{path}[{number}]", below)]
    return [path.lstrip(".")] if str(value).startswith(FILL_IN) else []


def test_check_names_each_place_that_is_left_and_nothing_else(init_folder: Path) -> None:
    """Where it stands, and what is to stand there; the secret by its own file."""
    with pytest.raises(ConfigurationFaults) as caught:
        load(init_folder / "broker.toml", {})
    faults = caught.value.faults
    tree = tomllib.loads((init_folder / "broker.toml").read_text())
    expected = {f"{init_folder / 'broker.toml'}:{place}" for place in open_places("", tree)}
    assert {fault.where for fault in faults} == expected | {str(init_folder / "secrets" / "koha")}
    assert {fault.what for fault in faults} == {"is to be filled in"}
    assert all(fault.fix for fault in faults)


def test_the_next_thing_to_do_is_one_line(init_folder: Path) -> None:
    """``check --next`` names the first of the errors that ``check`` lists."""
    lines = []
    for words in (["check"], ["check", "--next"]):
        result = CliRunner().invoke(broker, ["--config", str(init_folder / "broker.toml"), *words])
        assert result.exit_code == 78
        lines.append(result.stderr.splitlines())
    assert len(lines[0]) > 1
    assert lines[1] == lines[0][:1]


@pytest.mark.parametrize("name", new_folder.WRITTEN)
def test_a_folder_that_holds_one_already_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    """The file that is in the way is named; neither a key nor a line of an administrator's is lost."""
    (tmp_path / name).write_text("mine")
    refused = init(str(tmp_path))
    assert (refused.exit_code, refused.stdout) == (78, "")
    assert refused.stderr == f"{tmp_path / name}: is there already (name another folder: nothing is overwritten)\n"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_the_examples_of_the_documents_are_what_it_writes(init_folder: Path) -> None:
    """Every example in TOML is a part of the written file, to the letter."""
    text = (init_folder / "broker.toml").read_text(encoding="utf-8")
    examples = TOML.findall((ROOT / "docs" / "configuration.md").read_text(encoding="utf-8"))
    assert examples
    assert [each for each in examples if each not in text] == []


@pytest.mark.server
@pytest.mark.parametrize("document", ["README.md", pytest.param("docs/configuration.md", marks=pytest.mark.slow)])
def test_console_examples_print_what_the_documents_show(tmp_path: Path, document: str) -> None:
    """The commands of every console example, in an empty folder; a line of ``...`` stands for any lines."""
    examples = CONSOLE.findall((ROOT / document).read_text(encoding="utf-8"))
    assert examples
    prelude = f'broker() {{ PYTHONPATH={ROOT} {sys.executable} -m broker.cli.main "$@"; }}\n'
    for number, example in enumerate(examples):
        home = tmp_path / str(number)
        home.mkdir()
        commands = [line[2:] for line in example.splitlines() if line.startswith("$ ")]
        script = prelude + "\n".join(f"echo '$ {command}'\n{command}" for command in commands)
        typed = subprocess.run(
            ["bash", "-c", script], cwd=home, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
        )
        shown = re.escape(example).replace(r"\.\.\." + "\\\n", r"(?:.*\n)*?").replace(r"/srv", re.escape(str(home)))
        assert re.fullmatch(shown, typed.stdout + typed.stderr), typed.stdout + typed.stderr
