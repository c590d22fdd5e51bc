"""From a reason code to what the person is told; a code that nobody wrote a text for has the general one."""

from collections.abc import Mapping
from typing import Final

from broker.adapters.web.pages.explanation import Explanation
from broker.adapters.web.pages.failures import FAILURES, GENERAL
from broker.adapters.web.pages.pin_problems import PIN_PROBLEMS
from broker.adapters.web.pages.problems import PROBLEMS
from broker.adapters.web.pages.refusals import REFUSALS

REASONS: Final[Mapping[str, Explanation]] = {**FAILURES, **PIN_PROBLEMS, **PROBLEMS, **REFUSALS}


def explain(code: str) -> Explanation:
    """Give the texts of ``code``, a reason of an error, a refusal or a policy; the general ones where it has none."""
    return REASONS.get(code, GENERAL)
