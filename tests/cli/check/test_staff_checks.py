"""Findings of ``broker check`` about listed staff who could never log in."""

import json
from pathlib import Path

import pytest

from broker.app.assembly import assemble
from broker.cli.check.checks import find_staff_faults
from broker.configuration.settings.config import load

ADMIN, DESK = "bo@au.dk", "cilla@au.dk"
ROLES = {"identity-admin": [ADMIN], "service-desk": [DESK]}


@pytest.mark.parametrize(
    ("roles", "found"),
    [
        (ROLES, []),
        ({}, ["admin.roles is empty"]),
        ({"service-desk": []}, ["admin.roles is empty"]),
        ({"service-desk": [ADMIN, DESK, "ida@ku.dk"]}, ["admin.roles: ida@ku.dk: https://idp.au"]),
        ({"service-desk": [ADMIN, "ida@lib.au.dk"]}, ["admin.roles: ida@lib.au.dk: https://idp.au"]),
    ],
)
def test_staff_who_could_never_log_in_are_reported(folder: Path, roles: dict[str, list[str]], found: list[str]) -> None:
    """No roles at all, or a scope that the institution may not assert."""
    path = folder / "broker.toml"
    text = path.read_text()
    before, _, rest = text.partition("[admin]")
    _, _, after = rest.partition("[library]")
    table = f"""[admin]
institution = "https://idp.au.example"
assurance = "low"
[admin.roles]
{chr(10).join(f"{role} = {json.dumps(names)}" for role, names in roles.items())}
[library]"""
    path.write_text(before + table + after)
    parts = assemble(load(path, {"BROKER_STORE__URL": f"sqlite:{folder.parent / 'broker.db'}"}))
    told = list(find_staff_faults(parts))
    assert len(told) == len(found)
    assert all(line.startswith(begins) for line, begins in zip(told, found, strict=True)), told


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (
            'may_assert = ["cpr", "alumni_cpr"], label',
            'may_assert = ["cpr"], max_assurance = "low", label',
            "admin.assurance: is above",
        ),
        (
            'scopes = ["au.dk"], may_assert = ["cpr", "alumni_cpr"]',
            'scopes = ["au.dk"]',
            "neither subject-id nor a CPR number",
        ),
    ],
)
def test_an_institution_that_lets_nobody_in_is_found(folder: Path, before: str, after: str, found: str) -> None:
    """Its assurance is capped below that of the table, or its logins carry no lasting identifier."""
    config, attribute_map = folder / "broker.toml", folder / "attribute_maps" / "wayf.yaml"
    text = config.read_text()
    assert before in text
    config.write_text(text.replace('assurance = "low"', 'assurance = "substantial"').replace(before, after))
    lines = attribute_map.read_text().splitlines(keepends=True)
    attribute_map.write_text("".join(line for line in lines if not line.endswith(": subject-id\n")))
    environ = {"BROKER_STORE__URL": f"sqlite:{folder.parent / 'broker.db'}"}
    findings_of_table = list(find_staff_faults(assemble(load(config, environ))))
    assert [line for line in findings_of_table if found in line], findings_of_table
