"""Attack: malformed requests to every address of the broker. The answer is a page or a redirect, never a status 5xx.

Source: docs/reference/attacks.md#14.
"""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from werkzeug.routing import Rule

from broker.core.help_codes import STEPS
from tests.plugins.deployment import Deployment

ODD: Final = (
    "", "%00", "%ff", "%ed%a0%80", "..%2f..%2fetc", "%0d%0aX-Evil:%201", "a" * 3000, "https:%2f%2fevil.example",
)  # fmt: skip
NAMES: Final = (
    "arrival",
    "to",
    "token",
    "cookie",
    "login",
    "affiliation",
    "upstream",
    "service",
    "lang",
    "change",
    "link",
    "SAMLRequest",
)
HEADERS: Final[tuple[dict[str, str], ...]] = (
    {"Cookie": "b-x=y; __Host-b-" + "f" * 16 + "=" + "0" * 64 + "; a-=\xff; =; ;;"},
    {"Accept-Language": "xx-" + "y" * 200 + ";q=nan, *;q=-1, da;q=\x7f"},
    {"X-Forwarded-For": "' or 1=1, ::::, 999.1.1.1", "Forwarded": "for=_x"},
    {"Content-Type": "multipart/form-data", "Content-Length": "3"},
    {"Content-Type": "application/x-www-form-urlencoded; charset=utf-7"},
    {"Range": "bytes=9-1,-0", "If-None-Match": '"', "If-Modified-Since": "yesterday"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site", "Referer": "javascript:alert(1)"},
)  # fmt: skip
BODIES: Final = (
    b"", b"\xff\xfe", b"%", b"&&=&=x", b"SAMLResponse=%ff", b"SAMLRequest=PHg%2BPC94Pg%3D%3D&SAMLRequest=",
    b"token=1&token=2&answer=yes", b"x=" + b"a" * 100_000, b"&".join(b"x%d=1" % number for number in range(1500)),
)  # fmt: skip
FIELDS: Final = ("token", "answer", "upstream", "SAMLResponse", "SAMLRequest", "RelayState")
METHODS: Final = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE")


def _paths(rule: Rule, odd: str) -> str:
    path = rule.rule
    for name in rule.arguments:
        for kind in ("<path:%s>", "<%s>", "<int:%s>"):
            path = path.replace(kind % name, odd or "x")
    return path


def _calls(rule: Rule) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for odd in ODD:
        path = _paths(rule, odd)
        yield "GET", path + "?" + "&".join(f"{name}={odd}" for name in NAMES), {}
        data = "&".join(f"{name}={odd}" for name in FIELDS)
        yield "POST", path, {"data": data, "content_type": "application/x-www-form-urlencoded"}
    plain = _paths(rule, "x")
    for method in METHODS:
        yield method, plain, {}
    for headers in HEADERS:
        yield "GET", plain, {"headers": headers}
        yield "POST", plain, {"headers": headers, "data": b"abc"}
    for body in BODIES:
        yield "POST", plain, {"data": body, "content_type": "application/x-www-form-urlencoded"}


@pytest.mark.attack(14)
def test_malformed_requests_cause_no_error(shared_deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Odd paths, queries, headers and bodies cause no 5xx, are not echoed, and keep the frame policy."""
    client, base, faults = shared_deployment.app.test_client(), shared_deployment.setting.ports.origin("broker"), []
    for rule in shared_deployment.app.url_map.iter_rules():
        for method, path, how in _calls(rule):
            answer = client.open(path, method=method, base_url=base, **how)
            told = {"X-Evil", "evil.example"} & {*answer.headers.keys(), *answer.headers.values()}
            framed = "frame-ancestors 'none'" not in answer.headers.get("Content-Security-Policy", "")
            if (answer.status_code >= 500 and "readyz" not in path) or told or framed:
                faults.append((answer.status_code, method, path[:80], str(how)[:80]))
            answer.close()
    assert faults == []
    assert '"event": "unexpected"' not in capsys.readouterr().out


def test_every_address_has_a_step_number(shared_deployment: Deployment) -> None:
    """Every address has a step number, so that a stranger's error reference says where the page was shown."""
    rules = {rule.rule for rule in shared_deployment.app.url_map.iter_rules()}
    assert {rule for rule in rules if not rule.startswith("/sign-up/")} - {*STEPS, "/was"} == set()
