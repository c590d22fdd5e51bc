"""A login that is tried ends as the real one does, for every person of the demo at every service."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final
from urllib.parse import urljoin

import pytest
from lxml import html
from werkzeug.test import TestResponse

from broker.core.identity.canonical_attributes import find_outgoing_row
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.given_facts import GivenFacts
from broker.core.login.played_login import PlayedLogin
from broker.core.login.steps import Done, Issue
from broker.core.login.transaction import LoginPurpose
from broker.demo.people.persona import Persona
from broker.demo.people.persona_facts import persona_facts
from broker.demo.people.personas import PERSONAS
from broker.use_cases.policy_trials.login_trials import try_login
from tests.plugins.deployment import Deployment, Person, form, mark
from tests.plugins.pin_pages import pin_page

# The step of each page of the broker, by the name of the page.
STEPS: Final = {"ask": "Ask", "upgrade": "OfferUpgrade", "proof": "ProveMailbox", "changed": "TellChange"}
CODE: Final = re.compile(r"(?:The code is|Koden er): *(\S.*)")
MADE_UP: Final = re.compile(r"^\(.*\)$")
MAKING: Final = "my-loans"  # makes accounts
SERVICES: Final = ("e-resources", "myprint", MAKING)


@dataclass(slots=True)
class Walked:
    """The pages of a login, and what the service got of it."""

    steps: list[str] = field(default_factory=list)
    end: str = ""
    reason: str = ""
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Walk:
    """A persona at a browser of the deployment: every page is answered as they would."""

    deployment: Deployment
    person: Person
    who: Persona

    def log_in_at(self, service: str) -> TestResponse:
        """Log in at a service, up to the first page after it."""
        if self.who.upstream == "library":
            registered = self.who.registered[0]
            page = pin_page(self.person, service)
            return self.person.press(page, do="login", identifier=registered["cardnumber"], pin=self.who.pin or "")
        return self.person.log_in(self.who.name, self.who.upstream, service)

    def walk_to_end(self, page: TestResponse) -> Walked:
        """Go on from a page to the end."""
        walked = Walked()
        for _ in range(12):
            step, reason = mark(page)
            if STEPS.get(step, "") not in {"", *walked.steps[-1:]}:
                walked.steps.append(STEPS[step])
            if step in {"refuse", "done", "issue"}:
                walked.end, walked.reason = step, reason
                if step == "issue":
                    walked.attributes = self.deployment.landing(page).attributes
                return walked
            page = self.answer_page(step, page)
        raise AssertionError(f"{self.who.name} goes in circles at {mark(page)}")

    def answer_page(self, step: str, page: TestResponse) -> TestResponse:
        """Answer one page."""
        match step:
            case "ask" | "address":
                return self.press_button(page, "answer", "yes")
            case "upgrade":
                return self.press_button(page, "answer", "no" if self.who.upgrade is False else "yes")
            case "proof":
                return self.prove_mailbox(page)
            case "enrol":
                time.sleep(0.2)
                return self.person.get(page.request.path)
            case _:
                return self.person.press(page)

    def prove_mailbox(self, page: TestResponse) -> TestResponse:
        """Show the mailbox, or go on without."""
        if self.who.mailbox is None:
            return self.press_button(page, "do", "without")
        before = len(self.deployment.mailbox.mails())
        page = self.press_button(page, "do", "mail", address=self.who.mailbox)
        code = CODE.search(self.deployment.wait_for_mails(before + 1).text)
        assert code
        return self.press_button(page, "do", "code", code=code[1])

    def press_button(self, page: TestResponse, name: str, value: str, **fields: str) -> TestResponse:
        """Press the button of this name and value."""
        tree = html.fromstring(page.get_data())
        forms = list(tree.iter("form"))
        number = next(at for at, each in enumerate(forms) if each.xpath(f".//button[@name='{name}'][@value='{value}']"))
        action, hidden = form(page, number)
        sent = self.person.post(urljoin(page.request.url, action), {**hidden, name: value, **fields})
        return self.person.get(sent.location) if sent.status_code in {302, 303} else sent


def facts(deployment: Deployment, who: Persona) -> GivenFacts:
    """Describe a persona with the borrower that the library system has of them just now."""
    described = persona_facts(who, deployment.clock.now().date())
    if described.cpr != "real":
        return described
    found = deployment.parts.library.find(who.cpr or "", deployment.clock.now() + timedelta(seconds=5))
    if found:
        there = DescribedBorrower(
            found[0].category, has_duplicate=len(found) > 1, expires=found[0].expires, fields=found[0].fields
        )
        return replace(described, borrower=there)
    return replace(described, borrower=None)


def compare(deployment: Deployment, played: PlayedLogin, walked: Walked) -> None:
    """Hold a tried login to the real one: end, reason, pages, and every value that left."""
    ends = {Issue: "issue", Done: "done"}
    assert ends.get(type(played.end), "refuse") == walked.end
    if walked.end == "refuse":
        assert played.reason == walked.reason
    asked = [type(step).__name__ for step in played.steps]
    assert [step for step in asked if step in STEPS.values()] == walked.steps
    names = deployment.parts.maps.maps["library"]
    leaving = {}
    for each in played.attributes_sent:
        row = find_outgoing_row(names, each.name)
        assert row
        leaving[row.friendly_name] = each.values
    assert leaving.keys() == walked.attributes.keys()
    for name, values in leaving.items():
        if not all(map(MADE_UP.match, values)):
            assert values == tuple(walked.attributes[name]), name


def borrower_after(deployment: Deployment, who: Persona, played: PlayedLogin) -> None:
    """Hold the planned borrower to the one that the library system has now."""
    if played.borrower is None or played.facts.cpr != "real":
        return
    found = deployment.parts.library.find(who.cpr or "", deployment.clock.now() + timedelta(seconds=5))
    assert [each.category for each in found] == [played.borrower.category]


@pytest.mark.slow
@pytest.mark.parametrize("who", PERSONAS, ids=lambda who: who.name)
def test_a_tried_login_is_the_real_one(deployment: Deployment, who: Persona) -> None:
    """At each service: the same pages, the same end, the same values, the same borrower after it."""
    for service in SERVICES:
        # A possible duplicate is found among the other borrowers, of which a trial knows nothing.
        is_duplicate = bool(who.claims) and service == MAKING
        if is_duplicate or who.upstream not in deployment.parts.services[service].methods:
            continue
        described = replace(facts(deployment, who), purpose=LoginPurpose.LOGIN, intent=None)
        (played,) = try_login(deployment.parts.make_trial_site(), described, (service,), deployment.clock.now()).played
        walk = Walk(deployment, deployment.person_without_code(), who)
        compare(deployment, played, walk.walk_to_end(walk.log_in_at(service)))
        borrower_after(deployment, who, played)


@pytest.mark.slow
def test_a_tried_sign_up_is_the_real_one(deployment: Deployment) -> None:
    """Of everybody who signs up: the mailbox that is asked for, the end, and the borrower."""
    for who in PERSONAS:
        if who.sign_up is None:
            continue
        (played,) = try_login(
            deployment.parts.make_trial_site(), facts(deployment, who), (MAKING,), deployment.clock.now()
        ).played
        walk = Walk(deployment, deployment.person_without_code(), who)

        compare(deployment, played, walk.walk_to_end(walk.person.sign_up(who.name, who.sign_up, who.upstream)))
        borrower_after(deployment, who, played)
