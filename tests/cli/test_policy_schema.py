"""The schemas by which editors check files, as the command line prints them."""

import json

import pytest
from click.testing import CliRunner

from broker.cli.main import broker
from broker.configuration.policies.file_schema import json_schema, services_schema


@pytest.mark.parametrize(("words", "printed"), [((), json_schema()), (("--of", "services"), services_schema())])
def test_a_schema_is_printed(words: tuple[str, ...], printed: object) -> None:
    """Without a configuration; by default that of an affiliation's file."""
    result = CliRunner().invoke(broker, ["policy", "schema", *words], env={"BROKER_CONFIG": None})
    assert result.exit_code == 0
    assert json.loads(result.stdout) == printed
