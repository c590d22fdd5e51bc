"""The interoperability table: which product supports which feature. Tests fill it, ``make interop`` prints it."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import pytest

# Rows: the short name of a product, and the product with its role.
SERVICES: Final[Mapping[str, str]] = {
    "shib": "mod_shib, service",
    "mellon": "mod_auth_mellon, service",
    "python": "pysaml2, service",
    "python3": "python3-saml, service",
    "python3-key": "python3-saml with a key, service",
    "passport": "passport-saml, service",
    "passport-key": "passport-saml with a key, service",
}
# Services whose pages are written for these tests. They share their paths.
OWN_PAGES: Final = ("python", "python3", "python3-key", "passport", "passport-key")
# Products in a second set-up. Only ``make interop`` and ``make full`` run them.
REPEATED: Final = ("python3-key", "passport-key")
UPSTREAMS: Final[Mapping[str, str]] = {
    "wayf": "simulated hub, upstream",
    "lasso": "Lasso, upstream",
    "pysaml2": "pysaml2, upstream",
}
PEERS: Final[Mapping[str, str]] = {**SERVICES, **UPSTREAMS}
# Columns.
FEATURES: Final[Mapping[str, str]] = {
    "login": "login",
    "encrypted": "encrypted",
    "scopes": "scopes",
    "force": "ForceAuthn",
    "passive": "IsPassive",
    "signed": "signed",
    "post": "POST",
    "deflated": "deflated",
    "logout": "logout",
    "ended": "ended",
}
_REDIRECT: Final = "sends its AuthnRequest by HTTP-Redirect"
_OURS: Final = "offers HTTP-Redirect, by which the broker asks it"
# Cells that do not apply, with the reason.
NOT_APPLICABLE: Final[Mapping[tuple[str, str], str]] = {
    ("mellon", "force"): "has no way to ask for ForceAuthn",
    ("mellon", "scopes"): "does not look at scopes",
    **dict.fromkeys(((each, "scopes") for each in OWN_PAGES), "does not look at scopes"),
    **dict.fromkeys((("python3", "encrypted"), ("passport", "encrypted")), "publishes no key to encrypt to"),
    ("mellon", "post"): _REDIRECT,
    ("shib", "deflated"): "posts no deflated request",
    ("mellon", "deflated"): _REDIRECT,
    **{(each, feature): _REDIRECT for each in ("python3", "python3-key") for feature in ("post", "deflated")},
    ("wayf", "encrypted"): "signs its assertions and does not encrypt them, as WAYF",
    ("pysaml2", "encrypted"): "encrypts by 3DES only, which the broker refuses",
    ("wayf", "scopes"): "asserts no scope but the institution's own",
    ("wayf", "signed"): "does not verify the signature of a request",
    **{(upstream, feature): _OURS for upstream in UPSTREAMS for feature in ("post", "deflated")},
}
_Test = TypeVar("_Test", bound=Callable[..., Any])


def row(peers: Mapping[str, str], feature: str) -> Callable[[_Test], _Test]:
    """Run a test for each of ``peers`` to which ``feature`` applies, and record the result in the table."""
    applies = [each for each in peers if (each, feature) not in NOT_APPLICABLE]
    params = [pytest.param(each, marks=pytest.mark.full if each in REPEATED else ()) for each in applies]

    def mark(test: _Test) -> _Test:
        marked: _Test = pytest.mark.parametrize("peer", params)(pytest.mark.interop(feature)(test))
        return marked

    return mark


def lines(cells: Mapping[tuple[str, str], str]) -> list[str]:
    """Return the lines of the table. A cell that applies and is not in ``cells`` is "missing"."""
    notes: dict[str, int] = {}
    width = max(map(len, PEERS.values()))
    head = "  ".join(f"{each:>{max(len(each), 7)}}" for each in FEATURES.values())
    written = [f"{'':{width}}  {head}"]
    for peer, title in PEERS.items():
        row_ = []
        for feature, column in FEATURES.items():
            why = NOT_APPLICABLE.get((peer, feature))
            note = notes.setdefault(why, len(notes) + 1) if why else 0
            text = f"- ({note})" if note else cells.get((peer, feature), "missing")
            row_.append(f"{text:>{max(len(column), 7)}}")
        written.append(f"{title:{width}}  {'  '.join(row_)}")
    return [*written, "", *(f"({number}) {why}" for why, number in notes.items())]
