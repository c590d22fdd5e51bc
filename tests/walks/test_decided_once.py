"""How often one login is read and decided: once a request, by one look at the policy set."""

from dataclasses import replace
from typing import Any

import pytest

from broker.core.entities import Text
from broker.use_cases.enrolment.borrower_at_login import BorrowerAtLogin
from tests.plugins.deployment import Deployment, mark


def test_policies_edited_while_the_borrower_is_made_ask_again(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the released data changes while a login waits, the earlier consent does not count and nothing leaves."""
    policies = deployment.parts.policies
    ours, *rest = policies._held
    edited = [
        replace(each, releases=tuple(replace(release, purpose=Text("Else", "Andet")) for release in each.releases))
        for each in ours.policies
    ]
    enrol = BorrowerAtLogin.enrol

    def edit_meanwhile(*given: Any, **options: Any) -> Any:
        account = enrol(*given, **options)
        monkeypatch.setattr(policies, "_held", (replace(ours, policies=tuple(edited), digest="edited"), *rest))
        return account

    monkeypatch.setattr(BorrowerAtLogin, "enrol", edit_meanwhile)
    person = deployment.person()
    answered = person.agree(person.log_in("asta"))
    assert b"SAMLResponse" not in answered.get_data()
    assert mark(person.get(answered.location))[0] == "ask"
