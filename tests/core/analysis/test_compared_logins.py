"""Every class of logins at every service: the site that two sets are compared for."""

from dataclasses import replace

from broker.core.analysis.compared_logins import Site
from tests.plugins.random_policies import SERVICES, SOURCES


def test_what_a_service_publishes_now_holds_nothing_back() -> None:
    """It may publish a key, or ask for more, as soon as a set is in force; what is written here stays."""
    site = Site(SOURCES, SERVICES)
    shy = [replace(each, encrypts=False, required=frozenset(), subject_id_req="none") for each in SERVICES]
    assert Site(SOURCES, tuple(shy)).as_peers_may_become == site.as_peers_may_become
    for before, after in zip(site.services, site.as_peers_may_become.services, strict=True):
        assert (after.encrypts, after.required, after.subject_id_req) == (True, None, None)
        assert replace(after, encrypts=before.encrypts, required=before.required) == replace(
            before, subject_id_req=None
        )
