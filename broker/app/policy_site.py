"""The site record of a configuration, as it is now."""

from collections.abc import Iterator
from pathlib import Path

from broker.app.policy_surroundings import PolicySurroundings
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.site_record import RULES, SIGNERS, site_record
from broker.files.settings.config import Config


def site(settings: Config, surroundings: PolicySurroundings) -> dict[str, str]:
    """Return the site record of a configuration, with what metadata says of encryption.

    Upstreams count as they are written: a feed may complete their scopes at any hour.
    """
    library = settings.library
    maps = surroundings.maps
    return site_record(
        surroundings.services,
        {name: settings.upstream(name) for name in settings.upstreams},
        maps.maps if maps else {},
        {
            "system": library.system,
            "mode": library.mode,
            "desk_categories": library.desk_categories,
        },
        dict(_guards(settings)),
    )


def signers(settings: Config) -> bytes:
    """Return the list of those who may sign a change of the policies; nothing where none is set.

    ConfigurationFaults where its file cannot be read.
    """
    named = settings.policy.signers
    try:
        if isinstance(named, Path):
            return named.read_bytes()
    except OSError as error:
        what = f"{named} cannot be read: {error.strerror}"
        mend = "make it, a line for each who may sign: docs/policies-in-force.md"
        raise ConfigurationFaults([Fault("policy.signers", what, mend)]) from None
    return "".join(f"{line}\n" for line in named or ()).encode()


def rules(settings: Config) -> str | None:
    """Return the text of the site rules; None where there is no such file."""
    try:
        return settings.policy_properties.read_bytes().decode("utf-8", "replace")
    except OSError:
        return None  # what cannot be read proves nothing: a plan of it has the fault


def _guards(settings: Config) -> Iterator[tuple[str, str]]:
    """Yield the list of signers, unless it is empty, and the site rules, if there is their file."""
    allowed = _signers(settings)
    if allowed:
        yield SIGNERS, allowed
    written = rules(settings)
    if written is not None:
        yield RULES, written


def _signers(settings: Config) -> str:
    try:
        return signers(settings).decode("utf-8", "replace")
    except ConfigurationFaults:
        return str(settings.policy.signers)  # no login waits for a list that only an apply needs
