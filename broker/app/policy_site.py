"""The site record of a configuration, as it is now."""

from broker.app.policy_surroundings import PolicySurroundings
from broker.core.policy.site_record import site_record
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
    )
