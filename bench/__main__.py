"""Runs the benchmark: measures the cases, prints their figures with the budgets, and writes them as JSON.

make bench
make bench ARGS="--only layers satosa"
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench import (
    first_logins,
    large_installations,
    layer_figures,
    logins,
    metadata,
    policy,
    reload,
    satosa,
    scale,
    xml_security,
)
from bench.figures import Row
from broker.core.errors import BrokerError

_WRITTEN: Final = ".bench"

Case = Callable[[argparse.Namespace], Iterable[Row]]


def _layers(arguments: argparse.Namespace) -> Iterator[Row]:
    found = layer_figures.measure_layers()
    layer_figures.draw_layers(found, arguments.folder / "login-layers.svg")
    yield from layer_figures.rows(found)


def _satosa(arguments: argparse.Namespace) -> Iterable[Row]:
    if not Path(arguments.satosa).exists():
        print(f"left out: there is no {arguments.satosa}; make satosa installs it")
        return ()
    return satosa.rows(str(Path(arguments.satosa).absolute()))


# Name, what it measures, and how.
CASES: Final[dict[str, tuple[str, Case]]] = {
    "layers": ("a login by layer: known browser, SQLite, one worker, one at a time", _layers),
    "satosa": ("the same login at SATOSA, series in turn", _satosa),
    "stores": ("stores, workers, and people at once", lambda _: logins.matrix()),
    "browsers": ("kinds of browsers, one worker, one at a time", lambda _: logins.kinds_of_browsers()),
    "sixteen": ("the longest wait, and memory", lambda _: logins.measure_sixteen()),
    "scale": ("a hundredth of a day's 100,000 logins", lambda _: scale.rows()),
    "first": ("first logins, two workers", lambda _: first_logins.rows()),
    "large": ("a login in a large installation, one worker, one at a time", lambda _: large_installations.rows()),
    "reload": ("requests while policies and metadata are loaded beside them", lambda _: reload.rows()),
    "policy": ("policies", lambda _: policy.rows()),
    "metadata": ("a signed feed", lambda _: metadata.rows()),
    "xml_security": (
        "the checks of XML security, and the largest messages that a visitor can post",
        lambda _: xml_security.rows(),
    ),
}


def measure_cases(names: Iterable[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure the cases, print them, and return them as JSON has them."""
    cases = []
    for name in names:
        caption, case = CASES[name]
        print(f"\n{name}: {caption}", flush=True)
        began = time.monotonic()
        rows = []
        failure = ""
        try:
            for row in case(arguments):
                print(f"  {row}", flush=True)
                rows.append(row.as_json())
        except (SystemExit, BrokerError, AssertionError) as error:
            failure = str(error)
            print(f"  not measured to the end: {failure}", flush=True)
        seconds = round(time.monotonic() - began, 1)
        cases.append({"case": name, "caption": caption, "seconds": seconds, "rows": rows, "failure": failure})
    return {"machine": machine(), "cases": cases}


def machine() -> dict[str, str]:
    """Return where and when was measured."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": f"{os.cpu_count()} x {models[0].partition(': ')[2] if models else platform.machine()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", choices=list(CASES), default=list(CASES), metavar="CASE", help=", ".join(CASES)
    )
    parser.add_argument("--folder", type=Path, default=Path(_WRITTEN), help="where figures and picture are written")
    parser.add_argument("--satosa", default=".satosa/bin/python", help="an interpreter that has SATOSA installed")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    found = measure_cases(arguments.only, arguments)
    print("\n" + "  ".join(f"{name} {value}" for name, value in found["machine"].items()))
    target = arguments.folder / "figures.json"
    target.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(f"written: {target}")
    over = [row["name"] for case in found["cases"] for row in case["rows"] if _is_over(row)]
    print(f"over budget: {', '.join(over) or 'nothing'}")
    if any(case["failure"] for case in found["cases"]):
        raise SystemExit(1)


def _is_over(row: dict[str, Any]) -> bool:
    return any(figure["verdict"] == "over" for figure in row["figures"])


if __name__ == "__main__":
    main()
