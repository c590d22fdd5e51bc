"""The page of an error outside a step: rendered once a look, then filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flask_babel import format_datetime

from broker.adapters.web.pages.filled_pages import FilledPages, look_of
from broker.adapters.web.pages.reason_texts import explain
from broker.core.entities import Service


@dataclass(frozen=True, slots=True)
class Failure:
    """What one page tells: the reason, the page's reference, and the ways on.

    ``retry`` is the address where the person may try again, ``back`` the service to go back to.
    """

    reason: str
    reference: str
    retry: str | None = None
    back: Service | None = None


@dataclass(frozen=True, slots=True)
class FailurePages:
    """The pages by reason, language and ways on.

    Whoever has shown no authentication may ask for one as often as the wire carries, so that it
    must cost little (docs/reference/design.md#4e).
    """

    filled: FilledPages

    def page(self, failure: Failure, now: datetime) -> str:
        """Return the page that tells ``failure`` at this moment, for the present request."""
        differing = {
            "reference": failure.reference,
            "iso": now.isoformat(),
            "moment": format_datetime(now, "long"),
            "retry": failure.retry or "",
        }

        def given(marks: Mapping[str, str]) -> Mapping[str, object]:
            return {
                "step": "error",
                "reason": failure.reason,
                "reference": marks["reference"],
                "iso": marks["iso"],
                "moment": marks["moment"],
                "explain": explain,
                "retry": failure.retry and marks["retry"],
                "back": failure.back,
            }

        look = (failure.reason, bool(failure.retry), look_of(failure.back))
        return self.filled.page("error.html", look, differing, given)
