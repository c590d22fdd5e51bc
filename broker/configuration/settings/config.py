"""The settings: read from broker.toml and the environment, and checked as a whole."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from broker.configuration.checked_files import (
    ANY_ITEM,
    KeyPath,
    did_you_mean,
    key_patterns,
    list_known_keys,
    once,
    sentence,
)
from broker.configuration.exposed_files import find_exposed_files
from broker.configuration.settings.config_model import Config
from broker.configuration.settings.crosschecks import crosscheck, find_weak_secrets
from broker.configuration.settings.raw_settings import RawSettings, find_unfilled, variable
from broker.configuration.settings.relative_paths import resolve_paths
from broker.configuration.settings.toml_and_environment import read
from broker.core.errors import ConfigurationFaults, Fault

__all__ = ["Config", "keys", "load"]


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read ``path`` (or the file BROKER_CONFIG names, or the environment alone) into a Config.

    Raises ConfigurationFaults with every fault, its place and how to fix it; no fault quotes a
    secret.
    """
    if path is None and environ.get("BROKER_CONFIG"):
        path = Path(environ["BROKER_CONFIG"])
    base = path.parent if path else Path()
    raw = read(path, environ)
    blanks = list(find_unfilled(raw))
    resolve_paths(raw, base.resolve())
    config, misfits = _validate(raw)
    faults = [
        *raw.faults,
        *find_weak_secrets(raw),
        *find_exposed_files(Path(str(raw.tree["keys"]))),
        *misfits,
    ]
    places = {blank.where for blank in blanks}
    faults = [*blanks, *(fault for fault in faults if fault.where not in places)]
    if config and not faults:
        faults.extend(crosscheck(config, raw.where))
    if config is None or faults:
        raise ConfigurationFaults(faults)
    return config


def _validate(raw: RawSettings) -> tuple[Config | None, list[Fault]]:
    """Return the settings, None if some have faults, and the faults."""
    try:
        return Config(**raw.tree), []
    except ValidationError as error:
        misfits = error.errors(include_url=False, include_input=False)
        return None, [_fault(misfit, raw) for misfit in once(Config, misfits)]


# Messages of the validator in the words of TOML.
_WORDS: Final = {
    "path_type": "must be a text",
    "path_not_file": "is no file",
    "string_type": "must be a text",
    "tuple_type": "must be a list (in a variable JSON)",
    "frozen_set_type": "must be a list (in a variable JSON)",
    "dict_type": "must be a table (in a variable JSON)",
    "model_type": "must be a table (in a variable JSON)",
}


def _fault(misfit: ErrorDetails, raw: RawSettings) -> Fault:
    """Return the fault of what the validator refused; the value is never part of it."""
    path = tuple(step for step in misfit["loc"] if step != "[key]")
    where = raw.where(*path)
    if misfit["type"] == "missing":
        return Fault(where, "is missing", f"write it there, or set {variable(path)}")
    if misfit["type"] == "extra_forbidden":
        return Fault(where, "is no key of the configuration", _suggest_key(path))
    if misfit["loc"][-1] == "[key]" and misfit["type"] == "string_pattern_mismatch":
        what = "is no name: a-z, 0-9 and single - between them, because it is part of a URL"
        return Fault(where, what, "rename it")
    what = _WORDS.get(misfit["type"]) or sentence(misfit)
    return Fault(where, what, "see docs/configuration.md")


def _suggest_key(path: KeyPath) -> str:
    """Return the key that may have been meant, of the same table or else of another."""
    key = str(path[-1])
    known = list_known_keys(Config, path[:-1])
    near = did_you_mean(key, known, spelt=str)
    if near:
        return near
    for other in keys():
        if other.rpartition(".")[2] == key:
            return f"did you mean {other}?"
    return f"keys here: {', '.join(known)}"


def keys() -> Iterator[str]:
    """Yield every key as the documentation names it: ``upstreams.NAME.institutions[].scopes``."""
    for path in key_patterns(Config):
        if path[1:] != ("settings",):  # holds the connector's own keys; not written itself
            yield ".".join(path).replace(f".{ANY_ITEM}", ANY_ITEM)
