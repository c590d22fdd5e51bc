"""Attack: forged client addresses, to get around rate limits for guessing or the rules for shared computers."""

import json
from ipaddress import ip_network

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from broker.adapters.web.client_address import find_network, is_within
from tests.plugins.deployment import Deployment

HALL, HOME = "10.1.2.3", "192.0.2.1"
HALLS = {"BROKER_SHARED_NETWORKS": json.dumps(["10.1.0.0/16", "2001:db8:7::/48"])}


def caller(address: str) -> Request:
    """Return a request from ``address``."""
    return Request(EnvironBuilder(environ_overrides={"REMOTE_ADDR": address}).get_environ())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8:0:1::1", "2001:db8:0:ffff:ffff::9", True),
        ("2001:db8:0:1::1", "2001:db8:1:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.9", True),
        ("192.0.2.1:5678", "192.0.2.9", True),
        ("[2001:db8:0:1::1]:5678", "2001:db8:0:1::9", True),
        ("", "not an address", True),
    ],
)
def test_addresses_of_one_subscriber_count_as_one_client(one: str, other: str, same: bool) -> None:
    """The addresses of one subscriber count as one client, so that changing the address gives no additional guesses."""
    assert (find_network(caller(one)) == find_network(caller(other))) is same


@pytest.mark.parametrize(
    ("address", "shared"),
    [
        (HALL, True),
        (f"::ffff:{HALL}", True),
        (f"{HALL}:443", True),
        ("2001:db8:7::1", True),
        ("[2001:db8:7::1]:5", True),
        (HOME, False),
        ("", False),
        ("10.2.0.1", False),
    ],
)
def test_a_shared_computer_is_known_by_its_network(address: str, shared: bool) -> None:
    """A shared computer is recognised by its network, for IPv4, IPv6 and mapped addresses.

    An unknown address is not shared.
    """
    networks = ip_network("10.1.0.0/16"), ip_network("2001:db8:7::/48")
    assert is_within(caller(address), networks) is shared


@pytest.mark.parametrize(
    ("environment", "remote", "forwarded", "shared"),
    [
        (HALLS, HALL, "", True),
        (HALLS, HALL, HOME, True),  # otherwise a person in the hall could leave the shared network with a header
        (HALLS, HOME, HALL, False),
        ({**HALLS, "BROKER_SERVE__PROXIES": "1"}, "127.0.0.1", HALL, True),
        ({**HALLS, "BROKER_SERVE__PROXIES": "1"}, "127.0.0.1", f"{HOME}, {HALL}", True),
        ({**HALLS, "BROKER_SERVE__PROXIES": "1"}, "127.0.0.1", f"{HALL}, {HOME}", False),
        ({**HALLS, "BROKER_SERVE__PROXIES": "2"}, "127.0.0.1", f"{HOME}, {HALL}, {HOME}", True),
    ],
    indirect=["environment"],
)
def test_forwarded_addresses_count_for_configured_proxies_only(
    deployment: Deployment, remote: str, forwarded: str, shared: bool
) -> None:
    """X-Forwarded-For is read from the right, one entry for each configured proxy, and ignored without a proxy."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    begun = deployment.app.test_client().get("/pin", headers=headers, environ_overrides={"REMOTE_ADDR": remote})
    broker = deployment.broker
    name = begun.location.rpartition("=")[2]
    assert broker.read(name, deployment.clock.now()).transaction.shared is shared


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the environment of the table."""
    given: dict[str, str] = request.param
    return given
