"""What services ask for in their metadata and the policies do not give, told before a login is."""

from collections.abc import Iterator

from broker.app.assembly import Parts, now
from broker.core.entities import UNSPECIFIED, Service
from broker.core.policy.model import Release

_FORMATS_PREFIX = "nameid-format:"


def findings(parts: Parts) -> Iterator[str]:
    """Yield, for each service, NameID formats and required attributes that it does not get.

    One that no policy has a release for gets nothing at all.

    How it encrypts is told where its descriptor is read: one that lists no algorithm of ours has no
    descriptor in force.
    """
    for service in parts.services.values():
        releases = list(_releases(parts, service))
        if not releases:
            yield f"services.{service.name}: no policy has a release for it, so that nobody gets in"
            continue
        for finding in (*_name_ids(parts, service, releases), *_required(parts, service, releases)):
            yield f"services.{service.name}: {finding}"


def _releases(parts: Parts, service: Service) -> Iterator[Release]:
    names = {service.name, *service.categories}
    for policy in parts.policies.current.policies:
        for release in policy.releases:
            if release.service in names:
                yield release


def _name_ids(parts: Parts, service: Service, releases: list[Release]) -> Iterator[str]:
    """Yield the entries that give another NameID format than the service's metadata lists."""
    descriptor = parts.metadata.current.service(service.entity_id, now())
    if descriptor is None or not descriptor.name_id_formats:
        return
    listed = descriptor.name_id_formats
    if UNSPECIFIED in listed:
        return
    wanted = " or ".join(map(_short, listed))
    for release in releases:
        if release.name_id_format not in listed:
            what = f"its metadata wants the NameID format {wanted}, and"
            yield f"{what} {release.place} gives {_short(release.name_id_format)}"


def _required(parts: Parts, service: Service, releases: list[Release]) -> Iterator[str]:
    """Yield the attributes that its metadata marks as required and that no policy releases."""
    attribute_map = parts.maps.maps.get(service.attribute_map)
    if attribute_map is None:
        return
    released = {listed.name for release in releases for listed in release.attributes}
    for wire_name in sorted(service.requires):
        names = [row.name for row in attribute_map.rows if row.wire == wire_name]
        if not names:
            file = f"attribute_maps/{service.attribute_map}.yaml"
            yield f"its metadata requires the attribute {wire_name}, for which {file} has no row"
        elif released.isdisjoint(names):
            yield f"its metadata requires the attribute {names[0]}, which no policy releases to it"


def _short(name_id_format: str) -> str:
    return name_id_format.rpartition(_FORMATS_PREFIX)[2]
