"""The library's own colour: it can be read in both schemes, and a colour that cannot is an error at the start."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import broker.adapters.web
from broker.adapters.web.public_pages import write_colours
from broker.configuration.settings.config import load
from broker.configuration.settings.page_colour import BEHIND_LINKS, LEAST_CONTRAST, Colour, contrast
from broker.core.errors import ConfigurationFaults
from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Deployment

STYLE = (Path(broker.adapters.web.__path__[0]) / "static" / "style.css").read_text()
COLOURS = TypeAdapter(Colour)


def read_properties(stylesheet: str, scheme: str) -> dict[str, str]:
    """Return the custom properties of the light or the dark scheme."""
    light, _, dark = stylesheet.partition("@media (prefers-color-scheme: dark)")
    return dict(re.findall(r"--([a-z-]+): ([^;]+);", {"light": light, "dark": dark.partition("}")[0]}[scheme]))


@given(st.binary(min_size=3, max_size=3).map(lambda parts: f"#{parts.hex()}"))
def test_every_accepted_colour_can_be_read(written: str) -> None:
    """Header, links and buttons have a contrast of 4.5 in both schemes. The suggested shade is accepted."""
    try:
        colour = str(COLOURS.validate_python(written))
    except ValidationError as error:
        colour = str(COLOURS.validate_python(str(error.errors()[0]["ctx"]["error"]).rpartition(" ")[2]))
    for scheme in ("light", "dark"):
        shown = read_properties(STYLE, "light") | read_properties(STYLE, scheme)
        shown |= read_properties(write_colours(colour), scheme)
        pairs = [("on-brand", "brand"), ("on-filled", "filled"), ("link", "page"), ("link", "panel")]
        pairs += [("button-text", "button"), ("button-text", "panel"), ("note", "panel")]
        for front, back in pairs:
            behind = colour if back == "brand" else shown[back]
            front_colour, behind = (f"#{each[1:] * (7 // len(each[1:]))}" for each in (shown[front], behind))
            assert contrast(front_colour, behind) >= LEAST_CONTRAST, (scheme, front, back)


def test_the_background_of_the_check_is_that_of_the_pages() -> None:
    """A darker panel in the stylesheet would make the check too weak."""
    assert read_properties(STYLE, "light")["panel"] == BEHIND_LINKS


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("#ffd200", r"BROKER_COLOUR: is too light to read \(contrast 1\.3, .*the nearest .* is #846d00"),
        ("petrol", "BROKER_COLOUR: is no colour; write it as #0b4a5e"),
    ],
)
def test_a_colour_that_cannot_be_read_is_a_fault(setting: Setting, written: str, fault: str) -> None:
    """The fault names the setting and the nearest colour that can be read."""
    with pytest.raises(ConfigurationFaults, match=fault):
        load(setting.config, {"BROKER_COLOUR": written})


def test_pages_show_the_colour_and_the_logo_of_the_library(deployment: Deployment) -> None:
    """A page loads the general stylesheet, then that of the colour, and the logo."""
    person = deployment.person()
    page = person.get("/?lang=en").get_data(as_text=True)
    *_, colours = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
    answer = person.get(colours)
    assert (answer.status_code, answer.mimetype) == (200, "text/css")
    assert "--brand: #7a3b00;" in answer.get_data(as_text=True)
    logo = person.get(re.findall(r'<p class="name">\s*<img src="([^"]+)"', page)[0])
    assert (logo.status_code, logo.mimetype) == (200, "image/svg+xml")
