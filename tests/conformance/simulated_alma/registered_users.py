"""The borrowers that staff have registered, as users of the simulated Alma."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.conformance.simulated_alma.users import Users

_CPR: Final = re.compile(r"\d{10}")


def register(users: Users, borrowers: Sequence[Mapping[str, str]]) -> None:
    """Make the users, and edit by hand what staff edit: a change by the API leaves group and PIN.

    ``borrowers`` are named by the fields of a patron: a user name that is a CPR number becomes an
    identifier of that type, any other an institution id; the primary ids are ``S-1``, ``S-2``...
    """
    for place, borrower in enumerate(borrowers, 1):
        made = users.create(_user(f"S-{place}", borrower))
        by_hand = {"user_group": borrower["category_id"]}
        if "password" in borrower:
            by_hand["pin_number"] = borrower["password"]
        users.edit(made["primary_id"], **by_hand)


def _user(primary_id: str, borrower: Mapping[str, str]) -> dict[str, Any]:
    user: dict[str, Any] = {
        "record_type": {"value": "PUBLIC"},
        "account_type": {"value": "EXTERNAL"},
        "external_id": "SIS",
        "primary_id": primary_id,
        "first_name": borrower.get("firstname", ""),
        "last_name": borrower["surname"],
        "user_group": {"value": borrower["category_id"]},
        "user_identifier": _identifiers(borrower),
        "contact_info": {},
    }
    if "expiry_date" in borrower:
        user["expiry_date"] = f"{borrower['expiry_date']}Z"
    if "email" in borrower:
        email = {
            "preferred": True,
            "email_address": borrower["email"],
            "email_type": [{"value": "personal"}],
            "segment_type": "Internal",
        }
        user["contact_info"] = {"email": [email]}
    return user


def _identifiers(borrower: Mapping[str, str]) -> list[dict[str, Any]]:
    kind = "INST_ID"
    if _CPR.fullmatch(borrower["userid"]):
        kind = "CPR"
    return [
        {"id_type": {"value": name}, "value": value, "segment_type": "Internal"}
        for name, value in ((kind, borrower["userid"]), ("BARCODE", borrower["cardnumber"]))
    ]
