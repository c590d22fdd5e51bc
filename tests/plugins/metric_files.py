"""Writes the table of docs/operations.md, the alert rules and the Grafana dashboard from the table in the code.

python -m tests.plugins.metric_files
"""

import json
from pathlib import Path
from typing import Any, Final

import yaml

from broker.adapters.observability.metric_table import TABLE, MetricRow

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = ROOT / "docs" / "operations.md"
ALERTS: Final = ROOT / "deploy" / "alerts.yml"
DASHBOARD: Final = ROOT / "deploy" / "grafana.json"
_BEGIN: Final = '<a id="metrics-table"></a>\n\n'
_END: Final = "\n## Metadata files"
_NOTE: Final = "# Alert rules for Prometheus: written by python -m tests.plugins.metric_files\n"


def write_document() -> str:
    """Return docs/operations.md with the table of the code."""
    lines = ["| metric | meaning | alarm |", "|---|---|---|"]
    for row in TABLE:
        labels = f"{{{','.join(row.labels)}}}" if row.labels else ""
        alarm = f"`{row.alert.name}`: {row.alert.when}" if row.alert else ""
        lines.append(f"| `{row.name}{labels}` | {row.help} | {alarm} |")
    before, begin, rest = DOCUMENT.read_text(encoding="utf-8").partition(_BEGIN)
    assert begin
    return before + begin + "\n".join(lines) + "\n" + _END + rest.partition(_END)[2]


def write_alerts() -> str:
    """Return the rules as Prometheus reads them."""
    rules = [
        {
            "alert": row.alert.name,
            "expr": row.alert.expression,
            "for": row.alert.lasts,
            "annotations": {"summary": f"{row.help} Alarm: {row.alert.when}."},
        }
        for row in TABLE
        if row.alert
    ]
    down = {"alert": "BrokerDown", "expr": 'up{job="broker"} == 0', "for": "1m"}
    groups = {"groups": [{"name": "broker", "rules": [down, *rules]}]}
    return _NOTE + str(yaml.safe_dump(groups, sort_keys=False, width=1000))


def write_dashboard() -> str:
    """Return the dashboard: one panel for each metric, two in a row."""
    panels = [make_panel(number, row) for number, row in enumerate(TABLE)]
    dashboard = {"title": "Library identity broker", "uid": "library-broker", "refresh": "1m", "panels": panels}
    return json.dumps({**dashboard, "schemaVersion": 39, "time": {"from": "now-24h", "to": "now"}}, indent=1) + "\n"


def make_panel(number: int, row: MetricRow) -> dict[str, Any]:
    """Return the panel of a metric: rates of counters, the slowest percent of times, values of gauges."""
    labels = ", ".join(row.labels)
    expression = {
        "counter": f"sum by ({labels}) (rate({row.name}[5m]))",
        "histogram": f"histogram_quantile(0.99, sum by (le, {labels}) (rate({row.name}_bucket[5m])))",
        "gauge": row.name,
    }[row.kind]
    legend = " ".join(f"{{{{{label}}}}}" for label in row.labels)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": row.name.removeprefix("broker_"),
        "description": row.help,
        "gridPos": {"x": number % 2 * 12, "y": number // 2 * 8, "w": 12, "h": 8},
        "targets": [{"expr": expression, "legendFormat": legend}],
        "fieldConfig": {"defaults": {"unit": "s" if row.kind == "histogram" else "short"}, "overrides": []},
    }


def main() -> None:
    """Write the three files."""
    DOCUMENT.write_text(write_document(), encoding="utf-8")
    ALERTS.write_text(write_alerts(), encoding="utf-8")
    DASHBOARD.write_text(write_dashboard(), encoding="utf-8")


if __name__ == "__main__":
    main()
