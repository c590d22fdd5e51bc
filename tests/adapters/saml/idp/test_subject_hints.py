"""The Subject of an AuthnRequest is a hint: read where it is no demand, passed on where that is configured."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from broker.core.entities import EMAIL, UNSPECIFIED
from broker.core.login.transaction import SubjectHint
from tests.adapters.saml.sp.test_service_provider import write_request
from tests.attacks.messages.hostile_requests import add_subject
from tests.plugins.saml_parties import Parties

NAME_ID = '<saml:NameID Format="%s">%s</saml:NameID>'


@pytest.mark.parametrize(
    ("part", "hint"),
    [
        (NAME_ID % (EMAIL, "asta@au.example"), SubjectHint("asta@au.example", EMAIL)),
        (NAME_ID % (UNSPECIFIED, "au12345"), SubjectHint("au12345", UNSPECIFIED)),
        ("<saml:NameID> asta </saml:NameID>", SubjectHint("asta", UNSPECIFIED)),
        ("<saml:NameID>1111024568</saml:NameID>", None),
        ("<saml:NameID>111102-4568</saml:NameID>", None),
        (NAME_ID % (EMAIL, "1111024568@au.example"), None),
        ("<saml:NameID>111102ABC8</saml:NameID>", None),
        (NAME_ID % (EMAIL, "111102ABC8@au.example"), None),
        ("<saml:NameID/>", None),
        (f"<saml:NameID>{'x' * 257}</saml:NameID>", None),
        ("<saml:NameID>a\u202eb</saml:NameID>", None),
    ],
)
def test_a_hint_is_read_and_never_a_cpr_number(parties: Parties, part: str, hint: SubjectHint | None) -> None:
    """Mail addresses and user names are read; what nobody may be told is dropped, and the login goes on."""
    assert parties.ask(add_subject(part)) == replace(parties.request, subject_hint=hint)


def subjects(parties: Parties, **upstream: Any) -> Mapping[str, str | None]:
    """Give the Subject's names by format in our request to the upstream "kb", changed so."""
    kb = replace(parties.upstreams["kb"], **upstream)
    role = replace(parties.sp, upstreams={**parties.upstreams, "kb": kb})
    root = write_request(replace(parties, sp=role), "kb", subject_hint=SubjectHint("asta@au.example", EMAIL))
    return {each.get("Format"): each.text for each in root.iterfind("{*}Subject/{*}NameID")}


def test_a_hint_is_passed_on_where_that_is_configured(parties: Parties) -> None:
    """It stands in our request as it came; an upstream that is not configured for it learns nothing."""
    assert subjects(parties, subject_hint=True) == {EMAIL: "asta@au.example"}
    assert subjects(parties) == {}
