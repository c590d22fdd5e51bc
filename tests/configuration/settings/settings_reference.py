"""Writes the defaults of docs/configuration.md from the settings.

python -m tests.configuration.settings.settings_reference
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel

from broker.adapters.library_systems.alma.alma_settings import AlmaKeys
from broker.adapters.library_systems.koha.koha_settings import KohaKeys
from broker.adapters.library_systems.sip2 import Sip2Keys
from broker.adapters.person_register import datafordeler, serviceplatformen
from broker.configuration.settings.config_model import Config
from broker.core.entities import Assurance

DOCUMENT: Final = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"
# The keys of a connector stand below the line that says whose they are.
CONNECTORS: Final[Mapping[str, type[BaseModel]]] = {
    "Those of `koha`": KohaKeys,
    "Those of `alma`": AlmaKeys,
    "`[library.sip2]` is": Sip2Keys,
    "Datafordeler's own": datafordeler.Settings,
    "Serviceplatformen's own": serviceplatformen.Settings,
}
ROW: Final = re.compile(r"\| (`.*?`) \| (identity|server|library) \| (.*?) ?\| ")
_STEPS: Final[Mapping[Any, str]] = {dict: ".NAME.", tuple: "[]."}


def list_defaults(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each key as the document writes it, with its default; None for a key without one."""
    for name, field in model.model_fields.items():
        key = before + (field.alias or name)
        yield key, None if field.is_required() else field.get_default(call_default_factory=True)
        step = _STEPS.get(get_origin(field.annotation), ".")
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from list_defaults(part, key + step)


def write_default(value: Any) -> str | None:
    """Return a default in TOML; None where the document says it in words: no value, an address, a table."""
    if isinstance(value, timedelta):
        value = f"{value // timedelta(minutes=1)}m"
    if isinstance(value, Assurance):
        value = value.name.lower()
    if isinstance(value, frozenset | tuple):
        value = list(value) if isinstance(value, tuple) else sorted(value)
    is_said_in_words = value in (None, "", [], {}) or (isinstance(value, str) and value.startswith("https:"))
    if is_said_in_words or not isinstance(value, str | int | float | list):
        return None
    return f"`{json.dumps(value)}`"


def write_defaults(text: str) -> str:
    """Return the document with the defaults of the settings."""
    own = dict(list_defaults(Config))
    known, lines = own, []
    for line in text.split("\n"):
        known = next((own | dict(list_defaults(model)) for mark, model in CONNECTORS.items() if mark in line), known)
        row = ROW.match(line)
        cells = [write_default(known[key]) for key in re.findall(r"`([^`]+)`", row[1])] if row else []
        written = [cell for cell in cells if cell is not None]
        if row and len(written) == len(cells):
            lines.append(line[: row.start(3)] + ", ".join(dict.fromkeys(written)) + line[row.end(3) :])
        else:
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    DOCUMENT.write_text(write_defaults(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
