"""Logs staff in to the staff view, and reads its pages and the audit log afterwards."""

import json
from base64 import b64decode
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from zlib import decompress

from lxml import etree
from werkzeug.test import TestResponse

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.demo.people.personas import Persona, persona
from broker.demo.run.demo_folder import HUB
from broker.demo.upstreams import assertion_writer, wayf_hub
from tests.plugins.deployment import Deployment, Person, find_text

ADMIN: Final = "bo"
DESK: Final = "cilla"


@dataclass(frozen=True)
class SentRequest:
    """The AuthnRequest that the broker sends to an upstream."""

    force: bool
    institutions: tuple[str, ...]


def read_sent_request(url: str) -> SentRequest:
    """Read the AuthnRequest in a URL."""
    (packed,) = parse_qs(urlsplit(url).query)["SAMLRequest"]
    root = etree.fromstring(decompress(b64decode(packed), -15))
    listed = tuple(each.get("ProviderID", "") for each in root.iter("{*}IDPEntry"))
    return SentRequest(root.get("ForceAuthn") == "true", listed)


def change_persona(name: str, **attributes: str) -> Persona:
    """Return a persona with other attributes."""
    told = {key: (value,) for key, value in attributes.items()}
    person = persona(name)
    return replace(person, attributes={**person.attributes, **told})


def answer(deployment: Deployment, url: str, person: Persona) -> tuple[str, dict[str, str]]:
    """Let the hub answer for a person; return ACS and fields."""
    request = wayf_hub.read(urlsplit(url).query)
    now = deployment.clock.now()
    inner = wayf_hub.assertion(HUB, request, person, now)
    root = assertion_writer.response(HUB, request, inner, now)
    signature.sign(next(root.iter("{*}Assertion")), deployment.hub_key())
    return request.acs, http_bindings.build_post_fields(etree.tostring(root), "SAMLResponse", request.relay_state)


def begin(staff: Person) -> str:
    """Begin a staff login; return the URL of the upstream."""
    away = staff.get("/admin/login")
    assert away.status_code == 302, away.get_data(as_text=True)
    return str(away.location)


def arrive(staff: Person, person: Persona) -> TestResponse:
    """Log in through the upstream; return the next page."""
    arrived = staff.deliver(*answer(staff.deployment, begin(staff), person))
    return staff.follow(arrived)


def enter(deployment: Deployment, name: str) -> Person:
    """Return the browser of a member of staff who is logged in."""
    staff = deployment.person()
    page = arrive(staff, persona(name))
    assert page.status_code == 200, page.get_data(as_text=True)
    return staff


def send(staff: Person, path: str, **fields: str) -> TestResponse:
    """Fill in and send the form of a page of the staff view."""
    page = staff.get(path)
    token = find_text(page, "//form//input[@name='token']/@value")
    return staff.post(path, {"token": token, **fields})


def read_audit_log(deployment: Deployment) -> list[dict[str, Any]]:
    """Read the lines of the audit log."""
    files = sorted(deployment.parts.config.audit_folder.glob("audit-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def read_shown_lines(page: TestResponse) -> list[str]:
    """Return the lines of command output on a page."""
    return find_text(page, "//pre/text()").splitlines()
