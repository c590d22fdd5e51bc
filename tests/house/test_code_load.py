"""The limit on the complexity of functions."""

import pytest

from tests.plugins.code_load import ROOT, complexities, python_files


@pytest.mark.slow
def test_functions_have_at_most_twelve_branches() -> None:
    """Cyclomatic complexity above 12 (radon, boolean operators counted) asks for a table or named steps."""
    heavy = {
        f"{path.relative_to(ROOT)}:{name}": complexity
        for path in python_files(ROOT / "broker")
        for name, complexity in complexities(path.read_text())
        if complexity > 12
    }
    assert heavy == {}
