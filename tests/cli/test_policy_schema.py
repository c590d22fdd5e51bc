"""The schema that a site's editors check its files by, as the command line gives it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.cli.main import broker
from broker.demo.run.demo_folder import Setting

Run = Callable[..., Result]


@pytest.fixture
def folder(setting: Setting, tmp_path: Path) -> Path:
    """Give a folder with a sound configuration, to spoil."""
    shutil.copytree(setting.folder, tmp_path / "demo", ignore=shutil.ignore_patterns("broker.db*", "state"))
    return tmp_path / "demo"


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command for the folder, or without any configuration."""
    monkeypatch.delenv("BROKER_CONFIG", raising=False)

    def ran(*words: str, configured: bool = True) -> Result:
        of = ("--config", str(folder / "broker.toml")) if configured else ()
        result = CliRunner().invoke(broker, (*of, "policy", "schema", *words), prog_name="broker")
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return ran


def properties(result: Result, shape: str) -> dict[str, Any]:
    """Give what a printed schema says of the keys of a mapping."""
    found: dict[str, Any] = json.loads(result.stdout)["$defs"][shape]["properties"]
    return found


def test_the_names_of_the_site_are_written_in(run: Run) -> None:
    """Its services, upstreams and attributes, the fields of its library system, what its policies name already."""
    printed = run()
    assert (printed.exit_code, printed.stderr) == (0, "")
    release = json.loads(printed.stdout)["properties"]["release"]
    assert {"my-loans", "myprint", "e-resources"} <= set(release["properties"])
    *alone, with_values = properties(printed, "ReleaseShape")["make"]["items"]["anyOf"]
    assert {"cpr", "borrower_number", "kaldemail_domain", "sn"} <= set(with_values["properties"])
    assert {each["const"] for each in alone} == set(with_values["properties"])
    assert {"wayf", "nemid"} <= set(properties(printed, "LoginShape")["upstream"]["enum"])
    offered = properties(printed, "BorrowerShape")["category"]["anyOf"][0]["enum"]
    assert set(offered) == {"STUDENT", "EMPLOYEE", "HOSPITAL", "PRIVATE", "TEMP"}
    assert set(properties(printed, "LoginShape")["intent"]["anyOf"][0]["enum"]) == {
        "student",
        "employee",
        "hospital",
        "private",
    }
    assert {"surname", "email"} <= set(properties(printed, "BorrowerShape")["fields"]["properties"])
    matched = properties(printed, "AlternativeShape")
    assert "eduPersonScopedAffiliation" in matched
    assert not {"cpr", "borrower_number"} & set(matched)


def test_the_schemas_are_written_where_the_files_name_them(run: Run, folder: Path) -> None:
    """Whole, over those that lie there; those of the sign-up pages where the library has texts of its own."""
    (folder / "content").mkdir()
    printed = run("--write")
    assert printed.exit_code == 0
    paths = [Path(line.removeprefix("written: ")) for line in printed.stdout.splitlines()]
    assert [path.relative_to(folder).as_posix() for path in paths] == [
        "policies/policy.schema.json",
        "policies/services.schema.json",
        "policies/policy_properties.schema.json",
        "attribute_maps/attribute_map.schema.json",
        "attribute_maps/labels.schema.json",
        "content/page.schema.json",
        "content/faq.schema.json",
    ]
    assert json.loads(paths[0].read_text()) == json.loads(run().stdout)
    assert not list(folder.glob("*/.*.new"))
