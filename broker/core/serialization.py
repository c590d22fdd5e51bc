"""Frozen dataclasses to bytes and back, for the store, with the record number of the release."""

from functools import cache
from typing import Any, Final, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from broker.core.errors import StoreUnavailable

# The record number that this release writes, and those it reads: n-1 and n
# (docs/reference/design.md#versions). The first release has no n-1.
WRITES: Final = 1
READS: Final = frozenset({1})

T = TypeVar("T")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def dump(fact: object) -> bytes:
    """Return the bytes of a frozen dataclass: one octet for the record number, then JSON."""
    adapter = _adapter(cast("Any", type(fact)))
    return bytes([WRITES]) + adapter.dump_json(fact)


def load(kind: type[T], octets: bytes) -> T:
    """Return the ``kind`` that ``dump`` wrote.

    StoreUnavailable for a record of another release or a broken one.
    """
    if not octets or octets[0] not in READS:
        raise StoreUnavailable(f"{kind.__name__} record of an unknown release")
    adapter = _adapter(cast("Any", kind))
    try:
        fact: T = adapter.validate_json(octets[1:])
    except ValidationError:
        # The validator's text quotes the value, which may be personal: the chain is cut.
        raise StoreUnavailable(f"{kind.__name__} record does not read") from None
    return fact
