"""The way to log in that is the national eID, whose button stands beside the answer to what it is.

Source: docs/reference/requirements.md#r45.
"""

from collections.abc import Iterable, Mapping

from broker.adapters.web.pages.language import spoken
from broker.core.entities import Upstream


def national_eid_label(ways: Iterable[str], upstreams: Mapping[str, Upstream]) -> str:
    """Return the label of the one of ``ways`` that is the national eID; "" where there is none.

    A hub by which people come with the national eID and with other logins is not it.
    """
    for way in ways:
        institutions = upstreams[way].institutions
        if institutions and all(each.national_eid for each in institutions):
            return spoken(upstreams[way].label)
    return ""
