"""How far the clocks of library system and feeds are from ours, by the Date they answer with."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from broker.app.assembly import now
from broker.configuration.settings.config import Config
from broker.core.login.transaction import SKEW

_TIMEOUT: Final = 5.0
_MEND: Final = "keep the clocks by NTP"


class _Peer(NamedTuple):
    """A server whose answers carry a Date, by the key that names it, and whom to trust for it."""

    key: str
    url: str
    ca_file: str | None


def findings(config: Config) -> Iterator[str]:
    """Yield what is wrong with clocks, ours or others'; a peer that does not answer tells nothing.

    What differs by more than the skew is refused: assertions are too old, or not yet good.
    """
    answered = {}
    for peer in _peers(config):
        ahead = _ahead(peer)
        if ahead is not None:
            answered[peer.key] = ahead
    wrong = {key: ahead for key, ahead in answered.items() if abs(ahead) > SKEW}
    if len(wrong) > 1 and len(wrong) == len(answered):
        yield f"this machine's clock is {_told(-_least(wrong))} all of {', '.join(wrong)} ({_MEND})"
        return
    for key, ahead in wrong.items():
        yield f"the clock behind {key} is {_told(ahead)} this machine's ({_MEND})"


def _peers(config: Config) -> Iterator[_Peer]:
    ca_file = config.library.settings.get("ca_file")
    yield _Peer("library.url", config.library.url, str(ca_file) if ca_file else None)
    for name, feed in config.feeds.items():
        ca_file = feed.ca_file
        yield _Peer(f"feeds.{name}.url", feed.url, str(ca_file) if ca_file else None)


def _ahead(peer: _Peer) -> timedelta | None:
    """Return how far a peer's clock is ahead of ours; None where it does not say."""
    address = urlsplit(peer.url)
    try:
        with closing(_connection(address, peer.ca_file)) as connection:
            connection.request("HEAD", address.path or "/")
            asked = connection.getresponse().getheader("Date")
        moment = now()
        date = parsedate_to_datetime(asked or "")
    except (OSError, HTTPException, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return date - moment


def _connection(address: SplitResult, ca_file: str | None) -> HTTPConnection:
    host = address.hostname or ""
    if address.scheme == "https":
        trust = ssl.create_default_context(cafile=ca_file)
        return HTTPSConnection(host, address.port, timeout=_TIMEOUT, context=trust)
    return HTTPConnection(host, address.port, timeout=_TIMEOUT)


def _least(wrong: Mapping[str, timedelta]) -> timedelta:
    return min(wrong.values(), key=abs)


def _told(ahead: timedelta) -> str:
    seconds = round(abs(ahead).total_seconds())
    direction = "behind"
    if ahead > timedelta():
        direction = "ahead of"
    return f"{seconds} s {direction}"
