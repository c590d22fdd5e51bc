"""The colour of the library on our pages."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

_WRITTEN: Final = re.compile(r"#[0-9a-fA-F]{6}")
# The darkest background of links and buttons: --panel of style.css in the light scheme.
BEHIND_LINKS: Final = "#f2f5f6"
LEAST_CONTRAST: Final = 4.5  # WCAG 2.2, success criterion 1.4.3


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2.2, contrast ratio)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(part / 255) for part in bytes.fromhex(colour[1:]))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _colour(value: str) -> str:
    """Reject a colour in which links and buttons cannot be read."""
    if not _WRITTEN.fullmatch(value):
        raise ValueError("is no colour; write it as #0b4a5e")
    found = contrast(value, BEHIND_LINKS)
    if found < LEAST_CONTRAST:
        what = f"is too light to read (contrast {found:.1f}, at least {LEAST_CONTRAST} is needed)"
        raise ValueError(f"{what}; the nearest colour that can be read is {_darken(value)}")
    return value


def _darken(colour: str) -> str:
    """Return the lightest shade of a colour that can be read."""
    parts = bytes.fromhex(colour[1:])
    shades = (
        f"#{bytes(part * percent // 100 for part in parts).hex()}" for percent in range(99, -1, -1)
    )
    return next(shade for shade in shades if contrast(shade, BEHIND_LINKS) >= LEAST_CONTRAST)


Colour = Annotated[str, AfterValidator(_colour)]
