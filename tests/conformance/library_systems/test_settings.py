"""Settings of every connector in ``[library]``: all faults are reported together, and no secret is shown."""

import json

import pytest

from broker.core.borrowers.library_setup import ignore_call
from broker.core.errors import ConfigurationFaults, Fault
from tests.conformance.library_suite.stage import Kind

pytestmark = pytest.mark.library("settings")
UNKNOWN = ("no_such_key", "nor_this_one")


def faulty(kind: Kind, keys: dict[str, object]) -> set[str]:
    """Return the keys with faults; check that no fault shows a secret."""
    faults: tuple[Fault, ...] = ()
    try:
        kind.sound.read(keys)
    except ConfigurationFaults as error:
        faults = tuple(error.faults)
    assert [secret for secret in kind.sound.secrets if secret in repr(faults)] == []
    return {fault.where for fault in faults}


def test_no_secret_is_shown(kind: Kind) -> None:
    """Neither the settings nor the library system show a secret in a log or a traceback."""
    settings = kind.sound.read(kind.sound.keys)
    shown = f"{settings!r} {settings} {settings.open(ignore_call)!r}"
    assert [secret for secret in kind.sound.secrets if secret in shown] == []


def test_all_faults_are_reported_at_once(kind: Kind) -> None:
    """Unknown and missing keys are reported together; the broker itself needs the address."""
    keys = dict(kind.sound.keys)
    assert faulty(kind, keys) == set()
    expected = {f"library.{key}" for key in UNKNOWN}
    left = dict.fromkeys(UNKNOWN, "1") | keys
    for key in keys:
        alone = faulty(kind, {name: value for name, value in keys.items() if name != key})
        if key != "url" and alone:
            expected |= alone
            del left[key]
    assert expected <= faulty(kind, left)


def test_a_number_can_be_a_string(kind: Kind) -> None:
    """Keys can come from environment variables, which are strings."""
    written = {
        key: json.dumps(value) if isinstance(value, bool | int | float) else value
        for key, value in kind.sound.keys.items()
    }
    assert kind.sound.read(written) == kind.sound.read(kind.sound.keys)
