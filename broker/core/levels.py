"""Whether the class of authentication that came is one that the service asked for."""

from typing import Final

from broker.core.entities import Assurance
from broker.core.transaction import Transaction

_LOA: Final = "https://data.gov.dk/concept/core/nsis/loa/"
_NSIS: Final = {_LOA + each.name.capitalize(): each for each in Assurance if each is not Assurance.SELF_ASSERTED}


def met(transaction: Transaction) -> bool:
    """Say whether the authentication is of a class the request names, compared as it asks (saml-core 3.3.2.2.1)."""
    request, authentication = transaction.request, transaction.authentication
    if not request.authn_contexts or authentication is None:
        return True
    came = authentication.authn_context or ""
    if request.comparison == "exact":
        return came in request.authn_contexts
    return _in_order(came, request.authn_contexts, request.comparison)


def _in_order(came: str, wanted: tuple[str, ...], comparison: str) -> bool:
    """Compare NSIS levels, the only classes that have an order; of the others only the very one asked for will do."""
    if came in wanted:
        return comparison in {"minimum", "maximum"}
    levels = [_NSIS.get(each) for each in wanted]
    level = _NSIS.get(came)
    if level is None or not levels or any(each is None for each in levels):
        return False
    known = [each for each in levels if each is not None]
    return {"minimum": level >= min(known), "maximum": level <= max(known), "better": level > max(known)}[comparison]
