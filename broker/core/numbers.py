"""Which CPR number an institution asserted of a person: one, of a known kind, and only where it may say so."""

from collections.abc import Iterable
from datetime import date
from typing import Final

from broker.core import cpr
from broker.core.entities import Institution
from broker.core.errors import AttributesRefused

CPR_ATTRIBUTE: Final = "cpr"


def asserted_cpr(
    values: Iterable[str], institution: Institution, today: date, withheld: list[tuple[str, str]]
) -> tuple[str | None, str]:
    """Give the one CPR number and its kind; why there is none to use is added to ``withheld``.

    A value is bare or has the prefix of schacPersonalUniqueID. AttributesRefused where two differ,
    for choosing could pick another person's.
    """
    said = tuple(values)
    if said and CPR_ATTRIBUTE not in institution.may_assert:
        withheld.append((CPR_ATTRIBUTE, "may_not_assert"))
        return None, "none"
    numbers = {cpr.from_wire(value) or value for value in said if not _foreign(value)}
    if not numbers:
        return None, "none"
    if len(numbers) > 1:
        raise AttributesRefused("cpr_disagrees", CPR_ATTRIBUTE)
    kind = cpr.classify(number := numbers.pop(), today)
    if kind is cpr.CprKind.INVALID:
        withheld.append((CPR_ATTRIBUTE, "invalid"))
        return None, kind.value
    return number, "real" if kind is cpr.CprKind.REAL_WITHOUT_MODULUS_11 else kind.value


def _foreign(value: str) -> bool:
    """Say whether a schacPersonalUniqueID is another country's number: no CPR, and nothing we know how to read."""
    return value.casefold().startswith("urn:") and cpr.from_wire(value) is None
