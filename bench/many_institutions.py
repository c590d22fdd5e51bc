"""Writes the folder of a broker for 200 institutions with a thousand policy files, to analyse as a newcomer would.

python -m bench.many_institutions DIR
BROKER_CONFIG=DIR/broker.toml /usr/bin/time -v broker policy check
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SHIPPED: Final = Path(__file__).resolve().parent.parent / "policies"
_INSTITUTIONS: Final = 200
_OWN: Final = "au.dk"
# The file that is copied, the affiliation that it becomes, and a value by which an example is of it.
_COPIES: Final = (
    ("student", "student", "student"),
    ("employee", "employee", "staff"),
    ("hospital", "clinic", "employee@clin"),
    ("private", "friend", "alum"),
    ("student", "member", "member"),
)
_ELSEWHERE: Final = re.compile(r"  - \{upstream: (?:library|nemid)\b.*\n")


def institution(number: int) -> str:
    """Return the scope of an institution."""
    return f"university-{number}.example"


def policy(number: int, template: str, affiliation: str, value: str, precedence: int) -> str:
    """Return a shipped policy as an institution would write it for its own people."""
    scope = institution(number)
    text = (_SHIPPED / f"{template}.yaml").read_text().partition("examples:\n")[0]
    if affiliation == "member":
        text = text.replace("[student@au.dk]", "[member@au.dk]")
    if affiliation == "clinic":
        text = re.sub(r"\nproofs:\n.*\n", "\n", text).replace("[proof.kaldemail, mail]", "mail")
    text = _ELSEWHERE.sub("", text).replace("age: 18, upstream: nemid", "age: 18, upstream: wayf")
    text = re.sub("(?m)^affiliation: .*$", f"affiliation: {affiliation}-{number}", text)
    text = re.sub("(?m)^precedence: .*$", f"precedence: {precedence}", text)
    scoped = value if "@" in value else f"{value}@"
    separator = "." if "@" in value else ""
    return text.replace(_OWN, scope) + _example(scope, f"{scoped}{separator}{scope}", f"{affiliation}-{number}")


def _example(scope: str, value: str, affiliation: str) -> str:
    login = f"{{upstream: wayf, assurance: low, schacHomeOrganization: {scope}, eduPersonScopedAffiliation: [{value}]}}"
    effect = "deny" if affiliation.startswith("friend") else "permit"
    expect = f"{{effect: {effect}, affiliation: {affiliation}}}"
    return f"examples:\n  - {{name: one of them, login: {login}, service: e-resources, expect: {expect}}}\n"


def _row(number: int) -> str:
    scope = institution(number)
    return f'  {{ entity_id = "https://idp.{scope}", scopes = ["{scope}"], may_assert = ["cpr"] }},\n'


def policies(institutions: int) -> Iterator[tuple[str, str]]:
    """Yield file names and texts, five of each institution."""
    precedence = 1_000
    for number in range(institutions):
        for template, affiliation, value in _COPIES:
            precedence += 1
            yield f"{affiliation}-{number}.yaml", policy(number, template, affiliation, value, precedence)


def write(folder: Path, institutions: int = _INSTITUTIONS) -> int:
    """Write the folder, which must not be there yet, and return how many policy files it has."""
    subprocess.run(
        [sys.executable, "-m", "broker.cli", "init", folder, "--for", "demo"], check=True, capture_output=True
    )
    toml = folder / "broker.toml"
    rows = "".join(map(_row, range(institutions)))
    toml.write_text(toml.read_text().replace("institutions = [\n", f"institutions = [\n{rows}", 1))
    written = dict(policies(institutions))
    for name, text in written.items():
        (folder / "policies" / name).write_text(text)
    return len(list((folder / "policies").glob("*.yaml")))


def main() -> None:
    """Write the folder that is named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--institutions", type=int, default=_INSTITUTIONS)
    arguments = parser.parse_args()
    print(f"{write(arguments.folder, arguments.institutions)} policy files in {arguments.folder}")


if __name__ == "__main__":
    main()
