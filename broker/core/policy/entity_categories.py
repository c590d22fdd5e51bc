"""The entity categories of REFEDS that a policy may name, and the attributes of each at most.

Sources: the specifications at refeds.org/category; docs/reference/saml-profiles.md#43 to #47.
"""

from collections.abc import Mapping
from typing import Final

_REFEDS: Final = "https://refeds.org/category/"
CODE_OF_CONDUCT: Final = f"{_REFEDS}code-of-conduct/v2"
_ANONYMOUS: Final = frozenset({"schacHomeOrganization", "eduPersonScopedAffiliation"})
_ASSURED: Final = _ANONYMOUS | {"eduPersonAssurance"}
# In our names: WAYF says gn where the specification says givenName (the same attribute).
BUNDLES: Final[Mapping[str, frozenset[str]]] = {
    f"{_REFEDS}anonymous": _ANONYMOUS,
    f"{_REFEDS}pseudonymous": _ASSURED | {"pairwise-id"},
    f"{_REFEDS}personalized": _ASSURED | {"subject-id", "displayName", "gn", "sn", "mail"},
}
