"""Fuzzing: thousands of randomly changed messages. The broker refuses each, or reads the content of the genuine one."""

import base64
import os
import random
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lxml import etree

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.core.errors import BrokerError, MessageRefused, RequestRefused
from broker.core.login.transaction import Authentication, AuthnRequest, Outstanding, UpstreamRefusal
from tests.attacks.messages.mutations import Step, mutate
from tests.plugins.saml_deployment import SamlDeployment
from tests.plugins.saml_parties import BASE, LOANS, NOW, OPEN, PRINT, Parties

pytestmark = pytest.mark.slow(seconds=5)

ACS: Final = {
    LOANS: {f"{LOANS}/acs"},
    PRINT: {f"{PRINT}/acs"},
    OPEN: {f"{OPEN}/{each}" for each in ("acs", "other", "main")},
}
ROOT: Final = Path(__file__).resolve().parent.parent.parent
LONGER: Final = int(os.environ.get("FUZZ_TIMES", "1"))  # make fuzz
RUNS: Final = {"responses": 2_500, "requests": 1_600, "fields": 400, "http": 600, "xml": 8_000}
KINDS: Final = {"responses": 4, "requests": 3, "fields": 2, "http": 1, "xml": 1}
HANGING: Final = 20.0  # seconds for one message; a genuine one takes milliseconds
GROWN: Final = 24 * 1024  # kilobytes of growth that are allowed; a leak in each message would need more
STEP: Final = st.tuples(st.integers(0, 15), st.integers(0, 4000), st.integers(0, 400))
STEPS: Final = st.lists(STEP, min_size=1, max_size=4)


def make_settings(name: str) -> Callable[[Any], Any]:
    """Return Hypothesis settings with the number of examples for ``name``."""
    calm = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    phases = (Phase.generate, Phase.shrink)
    return settings(
        max_examples=RUNS[name] * LONGER, suppress_health_check=calm, deadline=None, database=None, phases=phases
    )


@contextmanager
def limit_time() -> Iterator[None]:
    """Raise TimeoutError if the block runs too long."""

    def hanging(*_: object) -> None:
        raise TimeoutError("a message hangs")

    before = signal.signal(signal.SIGALRM, hanging)
    signal.setitimer(signal.ITIMER_REAL, HANGING)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def make_genuine(parties: Parties, number: int) -> bytes:
    """Return a genuine Response: signed in one of three ways, or encrypted."""
    root = parties.response()
    if number == KINDS["responses"] - 1:
        return bytes(etree.tostring(parties.encrypt_response(root)))
    return parties.sign_response(root, whole=number == 1, both=number == 2)


def list_genuine(parties: Parties) -> list[bytes]:
    """Return one genuine Response of each kind."""
    return [make_genuine(parties, number) for number in range(KINDS["responses"])]


def receive(parties: Parties, raw: bytes) -> Authentication | UpstreamRefusal | None:
    """Receive a message as the ACS does. Return None for a refusal; other errors fail the test."""
    field = base64.b64encode(raw).decode()
    try:
        message, request = parties.sp.parse_response("wayf", [("SAMLResponse", field)])
        expected = Outstanding("_q1", "wayf", NOW)
        return parties.sp.receive("wayf", message, expected, force_authn=False, now=NOW).answer if request else None
    except BrokerError:
        return None


def test_the_runs_are_twenty_thousand_in_total() -> None:
    """The runs are at least twenty thousand in total."""
    assert sum(RUNS[name] * KINDS[name] for name in RUNS) >= 20_000


@pytest.fixture(scope="module")
def truth(parties: Parties) -> tuple[list[bytes], Authentication]:
    """Return the genuine messages and their common content."""
    messages = list_genuine(parties)
    answer, *others = (receive(parties, each) for each in messages)
    assert isinstance(answer, Authentication)
    assert all(each == answer for each in others)
    return messages, answer


@pytest.mark.attack(14)
@make_settings("responses")
@given(steps=STEPS)
def test_a_mutated_response_logs_in_nobody_else(
    parties: Parties, truth: tuple[list[bytes], Authentication], steps: list[Step]
) -> None:
    """No mutation of a Response logs in another person: it is refused or means the same."""
    messages, true = truth
    for raw in messages:
        with limit_time():
            answer = receive(parties, mutate(raw, steps))
        assert answer is None or isinstance(answer, UpstreamRefusal) or answer == true


def read_request(read: Callable[[], AuthnRequest]) -> AuthnRequest | None:
    """Read a request. Return None for a refusal, and the request if the refusal goes to the service."""
    try:
        return read()
    except RequestRefused as refused:
        return refused.request if isinstance(refused.request, AuthnRequest) else None
    except MessageRefused:
        return None


@dataclass(frozen=True, repr=False)
class Asked:
    """Genuine AuthnRequests: signed by Redirect and by POST, and one of a service that does not sign."""

    query: str
    signed: bytes
    bare: bytes
    plain: bytes
    true: AuthnRequest


@pytest.fixture(scope="module")
def requests(parties: Parties) -> Asked:
    """Return genuine requests that are signed once."""
    key, root = parties.service.key, parties.authn_request()
    bare, query = etree.tostring(root), parties.query(root, key=key)
    signature.sign(root, key)
    plain = etree.tostring(parties.authn_request(service=OPEN))
    return Asked(query, etree.tostring(root), bare, plain, parties.idp.read_redirect(query, NOW))


def post_fields(raw: bytes) -> list[tuple[str, str]]:
    """Return the form fields that carry a request."""
    return [("SAMLRequest", base64.b64encode(raw).decode()), ("RelayState", "state/1")]


@pytest.mark.attack(14)
@make_settings("requests")
@given(steps=STEPS)
def test_a_mutated_request_is_answered_nowhere_else(parties: Parties, requests: Asked, steps: list[Step]) -> None:
    """A mutated signed request is refused or means the same. An unsigned one is answered only at a registered ACS."""
    role, signed = parties.idp, requests.query.partition("&")[2]
    packed = zlib.compressobj(wbits=-15)
    other = base64.b64encode(packed.compress(mutate(requests.bare, steps)) + packed.flush()).decode()
    with limit_time():
        swapped = read_request(lambda: role.read_redirect(f"SAMLRequest={quote(other, safe='')}&{signed}", NOW))
        by_post = read_request(lambda: role.read_post(post_fields(mutate(requests.signed, steps)), NOW))
        unsigned = read_request(lambda: role.read_post(post_fields(mutate(requests.plain, steps)), NOW))
    assert swapped in {None, requests.true}
    assert by_post in {None, requests.true}
    assert unsigned is None or unsigned.acs in ACS[unsigned.entity_id]


@pytest.mark.attack(14)
@make_settings("fields")
@given(noise=st.text(max_size=60), at=st.integers(0, 3000), squeezed=st.binary(max_size=60))
def test_a_changed_field_is_refused_or_means_the_same(parties: Parties, noise: str, at: int, squeezed: bytes) -> None:
    """Text inserted into a query or a base64 field is refused or means nothing."""
    query = parties.query(parties.authn_request(), key=parties.service.key)
    true = parties.idp.read_redirect(query, NOW)
    at %= len(query)
    with limit_time():
        assert read_request(lambda: parties.idp.read_redirect(query[:at] + noise + query[at:], NOW)) in {None, true}
    packed = base64.b64encode(squeezed).decode()
    for field in (packed, noise, packed + noise):
        with limit_time():
            assert read_request(partial(parties.idp.read_post, [("SAMLRequest", field)], NOW)) is None


@pytest.mark.attack(13)
def test_mutated_messages_do_not_leak_memory(parties: Parties) -> None:
    """Thousands of mutated messages do not increase the memory of the process."""
    messages, drawn = list_genuine(parties), random.Random(4)

    def run(count: int) -> int:
        for number in range(count):
            steps = [(drawn.randrange(16), drawn.randrange(4000), drawn.randrange(400)) for _ in range(3)]
            receive(parties, mutate(messages[number % len(messages)], steps))
        status = Path("/proc/self/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

    kept = run(1_000)
    assert run(2_500) - kept < GROWN


@pytest.mark.attack(14)
@make_settings("http")
@given(steps=STEPS, which=st.integers(0, 5))
def test_a_mutated_message_breaks_no_endpoint(saml_deployment: SamlDeployment, steps: list[Step], which: int) -> None:
    """A mutated message over HTTP leads to a page or to the genuine result, and never to a status 5xx."""
    saml_deployment.begin_login()
    with limit_time():
        if which < 4:
            response = saml_deployment.post(mutate(make_genuine(saml_deployment.parties, which), steps))
        else:
            root = saml_deployment.parties.authn_request()
            signature.sign(root, saml_deployment.parties.service.key)
            changed = http_bindings.build_post_fields(mutate(etree.tostring(root), steps), "SAMLRequest", None)
            response = saml_deployment.client.post("/saml/idp/sso", data=changed, base_url=BASE)
    assert response.status_code in {200, 303, 400, 403, 410, 413}
    if response.status_code == 303:
        assert response.location.startswith(f"{BASE}/login/")


def test_xml_security_withstands_a_search_by_coverage(parties: Parties, tmp_path: Path) -> None:
    """Coverage-guided search (atheris) for inputs that make XML security fail, hang or accept content that was not signed.

    If Python has no atheris wheel, the same number of inputs is drawn at random.
    """
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for number, raw in enumerate(list_genuine(parties)):
        (seeds / str(number)).write_bytes(raw)
    (tmp_path / "hub.pem").write_bytes(parties.hub.certificate)
    options = [f"-runs={RUNS['xml'] * LONGER}", "-max_len=40000", "-timeout=20", "-rss_limit_mb=1024", "-seed=4"]
    options.append(f"-artifact_prefix={tmp_path}/")
    command = [
        sys.executable,
        "-m",
        "tests.attacks.messages.xml_fuzzer",
        str(tmp_path / "hub.pem"),
        *options,
        str(seeds),
    ]
    answer = subprocess.run(command, capture_output=True, check=False, cwd=ROOT, text=True)
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert f"Done {RUNS['xml'] * LONGER} runs" in answer.stderr
