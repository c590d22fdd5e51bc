"""What a page says about one reason: what happened, what the person can do, where that is done."""

from dataclasses import dataclass
from typing import Literal

from flask_babel.speaklater import LazyString

# Names of addresses in the library's imprint; one that is not configured is left out of the page.
HelpLocation = Literal["service_locations", "sign_up", "e_resources"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The texts of one reason, spoken in the language of the page that shows them.

    ``again`` says that the same login may well succeed on another try.
    """

    title: LazyString
    happened: LazyString
    advice: tuple[LazyString, ...]
    places: tuple[HelpLocation, ...] = ()
    again: bool = False
