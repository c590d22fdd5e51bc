"""Evaluates alert rules over two scrapes of ``/metrics``: as much of PromQL as the table of metrics uses."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Samples = Mapping[tuple[str, Labels], float]
_APART_S: Final = 60.0  # the time between two scrapes
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}


def read_page(page: str) -> Samples:
    """Return the samples of a page by name and labels."""
    samples = (sample for family in text_string_to_metric_families(page) for sample in family.samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The values of expressions: ``week_ago`` are two scrapes for ``offset 1w``, ``now`` is ``time()``."""

    before: Samples
    after: Samples
    now: float
    week_ago: tuple[Samples, Samples]

    def fires(self, expression: str) -> bool:
        """Return whether a rule with this expression is raised."""
        return all(map(self._holds, expression.split(" and ")))

    def _holds(self, comparison: str) -> bool:
        found = re.fullmatch(r"(.+) (>|<|==) (\S+)", comparison)
        assert found, comparison
        left, sign, right = found.groups()
        return any(_COMPARISONS[sign](value, float(right)) for value in self._evaluate(left).values())

    def _evaluate(self, text: str) -> dict[Labels, float]:
        if found := re.fullmatch(r"(.+) - time\(\)", text):
            return {labels: value - self.now for labels, value in self._evaluate(found[1]).items()}
        if found := re.fullmatch(r"count\(count by \((\w+)\) \((.+)\)\)", text):
            return {frozenset(): float(len({dict(labels)[found[1]] for labels in self._evaluate(found[2])}))}
        if found := re.fullmatch(r"histogram_quantile\((.+), sum by \(le\) \((.+)\)\)", text):
            return _find_quantile(float(found[1]), self._evaluate(found[2]))
        if found := re.fullmatch(r"sum\((.+)\)", text):
            values = self._evaluate(found[1]).values()
            return {frozenset(): sum(values)} if values else {}
        if found := re.fullmatch(r"(rate|increase)\((.+)\[\w+\]( offset 1w)?\)", text):
            before, after = self.week_ago if found[3] else (self.before, self.after)
            earlier = _select(before, found[2])
            later = _select(after, found[2])
            # Prometheus knows no increase of a series that it sees for the first time.
            apart = _APART_S if found[1] == "rate" else 1.0
            return {labels: (value - earlier[labels]) / apart for labels, value in later.items() if labels in earlier}
        return _select(self.after, text)


def _select(samples: Samples, selector: str) -> dict[Labels, float]:
    """Return the samples that ``name{label="value"}`` selects."""
    found = re.fullmatch(r'(\w+)(?:{(\w+)(=~?)"(.*)"})?', selector)
    assert found, selector
    name, label, sign, value = found.groups()
    pattern = value if sign == "=~" else re.escape(value or "")
    return {
        labels: each
        for (sample, labels), each in samples.items()
        if sample == name and (label is None or re.fullmatch(pattern, dict(labels).get(label, "")))
    }


def _find_quantile(share: float, buckets: Mapping[Labels, float]) -> dict[Labels, float]:
    """Return the quantile as Prometheus draws it, in a straight line within its bucket."""
    counts: dict[float, float] = {}
    for labels, value in buckets.items():
        bound = float(dict(labels)["le"])
        counts[bound] = counts.get(bound, 0.0) + value
    rank = share * counts.get(float("inf"), 0.0)
    lower, below = 0.0, 0.0
    for bound, count in sorted(counts.items()):
        if 0 < rank <= count:
            part = (rank - below) / (count - below)
            return {frozenset(): lower if bound == float("inf") else lower + (bound - lower) * part}
        lower, below = bound, count
    return {}
