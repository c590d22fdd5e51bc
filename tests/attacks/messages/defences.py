"""Tables of all checks of SAML messages, each with its class of attack."""

from collections.abc import Iterable
from typing import Any, Final

import pytest

XML_CHECKS: Final = {
    "size": 13, "nul": 14, "encoding": 14, "doctype": 12, "namespaces": 13, "relative_namespace": 9, "root": 4,
    "nodes": 13,
    "attributes": 13, "depth": 13, "scope": 13, "comment": 11, "instruction": 11, "xinclude": 12, "schema_location": 12,
    "id_attribute": 3, "duplicate_id": 3, "assertions": 1, "assertion_place": 1, "signature_namespace": 2,
    "signature_place": 1, "signatures": 2, "signed_info_place": 2, "schema": 14,
}  # fmt: skip
SHAPE: Final = {
    "signed_infos": 2, "object": 1, "references": 2, "reference": 10, "canonicalization": 8, "transforms": 8,
    "digest": 7,
    "signature_method": 7, "signature_parameters": 7, "prefixes": 13,
}  # fmt: skip
METHODS: Final = dict.fromkeys(
    ("encrypted_data", "cipher_reference", "retrieval_method", "encrypted_keys", "content_method", "key_method",
    "key_digest"),
    23,
)  # fmt: skip
RESPONSE: Final = {
    "other_upstream": 18, "zone": 19, "version": 14, "destination": 17, "in_response_to": 16, "issuer": 18,
    "issuer_missing": 18, "issued_later": 19, "issued_long_ago": 19, "assertion_of_refusal": 5, "plain": 23,
}  # fmt: skip
ASSERTION: Final = {
    "assertion_zone": 19, "assertion_version": 14, "assertion_issuer": 18, "assertion_issued_later": 19,
    "assertion_issued_long_ago": 15, "confirmations": 20, "bearer": 20, "recipient": 17, "confirms_request": 16,
    "confirmation_end": 19, "confirmation_expired": 19, "confirmation_start": 20, "identifiers": 20, "bounds": 19,
    "not_yet_valid": 19, "expired": 19, "interval": 19, "audience_missing": 17, "audience": 17, "unknown_condition": 20,
    "proxying_forbidden": 20, "statements": 20, "authenticated_later": 19, "authenticated_before": 19,
    "session_ended": 19,
    "attribute_statements": 22, "eid_name": 20, "loop": 18, "authority_missing": 18, "institution_unknown": 18,
    "institution_not_asked": 18,
}  # fmt: skip
REQUEST: Final = {
    "unsigned": 24, "version": 14, "destination": 26, "zone": 26, "issued_later": 26, "issued_long_ago": 26,
    "acs_twice": 25,
    "acs": 25,
}  # fmt: skip
LOGOUT: Final = dict.fromkeys(
    (
        "version", "destination", "zone", "issued_later", "issued_long_ago", "expired", "identifier", "unsolicited",
    ),
    29,
)  # fmt: skip
LIMITS: Final = dict.fromkeys(("binding", "sizes", "subject", "name_id", "declarations", "proxies", "loop"), 26)


def mark_by_class_number(names: Iterable[str], **how: Any) -> list[Any]:
    """Return pytest parameters for ``names`` that begin with a class number, each marked with that class."""
    return [pytest.param(each, marks=pytest.mark.attack(int(each.split()[0]), **how), id=each) for each in names]


def mark_by_check(names: Iterable[str], *tables: dict[str, int]) -> list[Any]:
    """Return pytest parameters for ``names`` of checks, each marked with the class that its check defends against."""
    known = {name: number for table in tables for name, number in table.items()}
    return [pytest.param(each, marks=pytest.mark.attack(known.get(each, 14)), id=each) for each in names]
