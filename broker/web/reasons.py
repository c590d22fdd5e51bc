"""From a reason code to what the person is told; a code that nobody wrote a text for has the general one."""

from collections.abc import Mapping
from typing import Final

from broker.web.explanation import Explanation
from broker.web.failures import FAILURES, GENERAL
from broker.web.pin_problems import PIN_PROBLEMS
from broker.web.problems import PROBLEMS
from broker.web.refusals import REFUSALS

REASONS: Final[Mapping[str, Explanation]] = {**FAILURES, **PIN_PROBLEMS, **PROBLEMS, **REFUSALS}


def explain(code: str) -> Explanation:
    """Give the texts of ``code``, a reason of an error, a refusal or a policy; the general ones where it has none."""
    return REASONS.get(code, GENERAL)
