"""The sessions in a store: kept when an assertion leaves, found by service and NameID or by browser, and ended.

Two writes a login: the session itself, listed by browser, and a pointer by which its service names
it. An upstream's LogoutRequest comes through the browser too, so that its sessions are found there
and no third index is kept.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.login.transaction import LIFETIME, SKEW, Authentication, Transaction
from broker.core.logout.sessions import NameID, Session
from broker.core.ports import Kept, Key, Store
from broker.core.pseudonyms import Pseudonyms
from broker.core.serialization import dump, load

# A service may keep its own session beyond the SessionNotOnOrAfter that it was told.
KEPT_FOR: Final = timedelta(hours=12)
_MARKED_FOR: Final = LIFETIME + SKEW  # as long as any transaction of before can live


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where the session lies that a service names."""

    browser: str
    id: str


@dataclass(frozen=True, slots=True)
class Ended:
    """That a person, or an upstream, has ended what was authenticated until then."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of everybody, under pseudonyms."""

    store: Store
    pseudonyms: Pseudonyms

    def add(self, session: Session, now: datetime) -> None:
        """Keep a session before its assertion leaves; the same again changes nothing, one that was ended stays so."""
        version = session.id[:16]
        pointer = Pointer(session.browser, session.id)
        named = self._named(session.entity_id, session.name_id.value)
        self.store.put(
            Key("session", named, session.id),
            Kept(dump(pointer), version, session.until),
            None,
            now,
        )
        self.store.put(self._key(session), Kept(dump(session), version, session.until), None, now)

    def named(
        self, entity_id: str, name_id: NameID, indexes: tuple[str, ...], now: datetime
    ) -> tuple[Session, ...]:
        """Give the sessions of this very service that its LogoutRequest names, those already ended among them.

        Without indexes: all of this principal with this service (saml-core 3.7.1).
        """
        found = []
        for _, kept in self.store.list("session", self._named(entity_id, name_id.value), now):
            pointer = load(Pointer, kept.value)
            whole = self.store.get(Key("session", self._browser(pointer.browser), pointer.id), now)
            if whole:
                found.append(load(Session, whole.value))
        return tuple(
            each
            for each in found
            if each.entity_id == entity_id
            and name_id.means(each.name_id)
            and (not indexes or each.index in indexes)
        )

    def of_browsers(self, browsers: Iterable[str], now: datetime) -> tuple[Session, ...]:
        """Give the sessions of everybody in a browser, oldest first, those already ended among them."""
        listed = (self.store.list("session", self._browser(each), now) for each in browsers)
        return tuple(
            sorted((load(Session, kept.value) for each in listed for _, kept in each), key=_age)
        )

    def end(self, sessions: Iterable[Session], now: datetime) -> None:
        """Mark sessions as ended and drop their transactions, so that Back delivers nothing (design 4a)."""
        for session in sessions:
            self.store.drop(Key("transaction", session.transaction))
            key = self._key(session)
            kept = self.store.get(key, now)
            if kept is None or load(Session, kept.value).ended:
                continue
            ended = replace(load(Session, kept.value), ended=now)
            # Who loses this race lost it to another that ended the session.
            self.store.put(
                key, Kept(dump(ended), secrets.token_hex(8), kept.until), kept.version, now
            )

    def close(self, browser: str, person: str, now: datetime, upstream: str = "") -> None:
        """Mark that all this person has authenticated in this browser until now is over, or by one upstream only."""
        self._mark(self._closed(browser, person, upstream), now)

    def close_upstream(
        self, upstream: str, name_id: NameID, indexes: tuple[str, ...], now: datetime
    ) -> None:
        """Mark that an upstream has ended its session of this NameID, or these of its indexes only."""
        for index in indexes or ("",):
            self._mark(self._gone(upstream, name_id.value, index), now)

    def over(self, transaction: Transaction, now: datetime) -> bool:
        """Say whether what this transaction's person authenticated has been ended since.

        Since the answer came, not since it met its browser: between the two lies an address that
        somebody may open later. A transaction writes its session before it looks, a logout its mark
        before it lists: one of them sees the other, so that no login leaves half-ended.
        """
        answer = transaction.authentication
        if answer is None:
            return False
        marks = (self.store.get(key, now) for key in self._marks(transaction, answer))
        return any(load(Ended, kept.value).at >= answer.received for kept in marks if kept)

    def _marks(self, transaction: Transaction, answer: Authentication) -> Iterator[Key]:
        if transaction.browser:
            for upstream in ("", answer.upstream):
                yield self._closed(transaction.browser, group_of(transaction), upstream)
        if answer.name_id:
            yield self._gone(answer.upstream, answer.name_id, "")
            if answer.session_index:
                yield self._gone(answer.upstream, answer.name_id, answer.session_index)

    def _mark(self, key: Key, now: datetime) -> None:
        for _ in range(2):  # who loses has been overtaken by a mark as late as this one
            was = self.store.get(key, now)
            kept = Kept(dump(Ended(now)), secrets.token_hex(8), now + _MARKED_FOR)
            if self.store.put(key, kept, was.version if was else None, now):
                return

    def _key(self, session: Session) -> Key:
        return Key("session", self._browser(session.browser), session.id)

    def _browser(self, browser: str) -> str:
        return self.pseudonyms.of("session-browser", browser)

    def _named(self, entity_id: str, value: str) -> str:
        return self.pseudonyms.of("session-named", entity_id, value)

    def _closed(self, browser: str, person: str, upstream: str) -> Key:
        return Key("ended", self.pseudonyms.of("ended-person", browser, person), upstream)

    def _gone(self, upstream: str, value: str, index: str) -> Key:
        return Key(
            "ended",
            self.pseudonyms.of("ended-upstream", upstream, value),
            self.pseudonyms.of("index", index),
        )


def _age(session: Session) -> datetime:
    return session.at


def group_of(transaction: Transaction) -> str:
    """Give who a transaction's sessions belong to; one of whom nothing is known stands alone."""
    return transaction.person.id if transaction.person else transaction.id
