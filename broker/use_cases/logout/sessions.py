"""The sessions in a store: added when an assertion leaves, found by NameID or browser, and ended.

Two writes a login: the session itself, listed by browser, and a pointer by which its service names
it. An upstream's LogoutRequest comes through the browser too, so that its sessions are found there
and no third index is kept.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker.core.login.transaction import Authentication, Transaction
from broker.core.logout.sessions import Session
from broker.core.logout.single_logout import LogoutRequest
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store, Write
from broker.core.retention import ENDED
from broker.use_cases.storage.records import Content, Reads, Record, Records, read_together

# Until it is amended: who begins it again finds its own write.
_BEGUN: Final = "begun"


@dataclass(frozen=True, slots=True)
class Pointer:
    """The place of the session that a service names, and whose it is."""

    browser: str
    id: str
    person: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The mark that a person, or an upstream, has ended what was authenticated until then."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of everybody, under pseudonyms."""

    store: Store
    hmacs: LookupHmacs

    def add(self, session: Session, now: datetime) -> None:
        """Store a session before its assertion is given again, and that it may have been.

        The same again changes nothing, and a session that was ended stays so.
        """
        begun, pointed = self.draft(session)
        pointer = Content(Pointer(session.browser, session.id, session.person), session.until)
        again = self._pointers.draft(self._again(session), pointer, None, _BEGUN)
        self.store.put_many(begun, [pointed, again], now)

    def is_given_again(self, session: Session, now: datetime) -> bool:
        """Return whether another request may have let the assertion of this session leave."""
        return self._pointers.get(self._again(session), now) is not None

    def draft(self, session: Session) -> tuple[Write, Write]:
        """Return the writes of a session and of its pointer, for ``Store.put_many``."""
        key = self._key(session.browser, session.id)
        content = Content(session, session.until)
        begun = self._records.draft(key, content, None, _BEGUN)
        named = self._named(session.entity_id, session.name_id.value)
        pointer = Content(Pointer(session.browser, session.id, session.person), session.until)
        pointing = Key("session", named, session.id)
        return begun, self._pointers.draft(pointing, pointer, None, _BEGUN)

    def find_named(
        self, entity_id: str, request: LogoutRequest, now: datetime
    ) -> tuple[Session, ...]:
        """Return the sessions of this very service that its LogoutRequest names, ended ones too.

        Without indexes: all of this principal with this service (saml-core 3.7.1) that lived when
        it was issued. An index is known only of a session that had begun: no clock is asked then.
        """
        named = []
        name_id = request.name_id
        latest = request.find_cutoff(now)
        group = self._named(entity_id, name_id.value)
        for found in self._pointers.list("session", group, now):
            pointer = found.value
            record = self._records.get(self._key(pointer.browser, pointer.id), now)
            if record is None:
                continue
            session = record.value
            if not name_id.is_same_as(session.name_id):
                continue
            lived = not request.indexes and session.at <= latest
            if lived or session.index in request.indexes:
                named.append(session)
        return tuple(named)

    def list_in_browsers(self, browsers: Iterable[str], now: datetime) -> tuple[Session, ...]:
        """Return the sessions of everybody in some browsers, oldest first, ended ones too."""
        sessions: list[Session] = []
        for browser in browsers:
            records = self._records.list("session", self._browser(browser), now)
            sessions += [record.value for record in records]
        return tuple(sorted(sessions, key=_age))

    def end(self, sessions: Iterable[Session], now: datetime) -> None:
        """Mark sessions as ended and drop their transactions: Back delivers nothing.

        Source: docs/reference/design.md#4a-logout.
        """
        for session in sessions:
            self.store.drop(Key("transaction", session.transaction))
            self.mark_ended(session, now)

    def end_upstream(self, sessions: Iterable[Session], now: datetime) -> None:
        """Mark that the upstream's own session behind these sessions has ended."""
        for session in sessions:
            self._amend(session, lambda each: replace(each, upstream_ended=now), now)

    def close(self, browser: str, person: str, until: datetime, upstream: str = "") -> None:
        """Mark that all this person has authenticated in this browser until then is over.

        With ``upstream``: by that one only.
        """
        self._mark(self._closed(browser, person)._replace(name=upstream), until)

    def close_upstream(self, request: LogoutRequest, now: datetime) -> None:
        """Mark that an upstream has ended its session of a NameID, or of some indexes only."""
        until = request.find_cutoff(now)
        of_subject = self._gone(request.peer.name, request.name_id.value)
        names = [self._index(index) for index in request.indexes]
        for name in names or [of_subject.name]:
            self._mark(of_subject._replace(name=name), until)

    def mark_ended(self, session: Session, now: datetime) -> None:
        """Mark as ended a session that no service has heard of; its transaction goes on."""
        self._amend(session, lambda each: replace(each, ended=each.ended or now), now)

    def is_over(self, transaction: Transaction, now: datetime) -> bool:
        """Return whether what this transaction's person authenticated has been ended since.

        Since the answer came, not since it met its browser: between the two lies an address that
        somebody may open later. A transaction writes its session before it looks, a logout its mark
        before it lists: one of them sees the other, so that no login leaves half-ended.
        """
        marks = self.list_marks(transaction)
        return self.is_over_by(transaction, marks, read_together(self.store, marks, now))

    def is_over_by(self, transaction: Transaction, marks: Iterable[Key], reads: Reads) -> bool:
        """Return whether the login is ``over`` by its ``marks`` as ``reads`` has them."""
        answer = transaction.authentication
        if answer is None:
            return False
        for key in marks:
            mark = self._ended.get_from(key, reads)
            if mark and mark.value.at >= answer.received:
                return True
        return False

    def list_marks(self, transaction: Transaction) -> list[Key]:
        """Return the keys of the marks by which this transaction's login is over."""
        answer = transaction.authentication
        return list(self._marks(transaction, answer)) if answer else []

    def _marks(self, transaction: Transaction, answer: Authentication) -> Iterator[Key]:
        if transaction.browser:
            of_person = self._closed(transaction.browser, session_group(transaction))
            yield of_person
            yield of_person._replace(name=answer.upstream)
        if answer.name_id:
            of_subject = self._gone(answer.upstream, answer.name_id)
            yield of_subject
            if answer.session_index:
                yield of_subject._replace(name=self._index(answer.session_index))

    def _amend(self, session: Session, change: Callable[[Session], Session], now: datetime) -> None:
        def changed(record: Record[Session] | None) -> Content[Session] | None:
            if record is None:
                return None
            after = change(record.value)
            if after == record.value:
                return None
            return Content(after, record.until)

        self._records.amend(self._key(session.browser, session.id), changed, now)

    def _mark(self, key: Key, until: datetime) -> None:
        """Mark what was authenticated until then as ended; a later mark stands."""

        def later(record: Record[Ended] | None) -> Content[Ended] | None:
            if record is not None and record.value.at >= until:
                return None
            return Content(Ended(until), ENDED.until(until))

        self._ended.amend(key, later, until)

    def _key(self, browser: str, session_id: str) -> Key:
        return Key("session", self._browser(browser), session_id)

    def _again(self, session: Session) -> Key:
        return Key("session", self.hmacs.compute("session-again", session.id))

    def _browser(self, browser: str) -> str:
        return self.hmacs.compute("session-browser", browser)

    def _named(self, entity_id: str, value: str) -> str:
        return self.hmacs.compute("session-named", entity_id, value)

    def _closed(self, browser: str, person: str) -> Key:
        """Return the key of what ended in a browser; its name is the upstream, if it is one's."""
        return Key("session", self.hmacs.compute("ended-person", browser, person))

    def _gone(self, upstream: str, value: str) -> Key:
        """Return the key of a subject whose upstream sessions ended, all of them."""
        return Key(
            "session", self.hmacs.compute("ended-upstream", upstream, value), self._index("")
        )

    def _index(self, index: str) -> str:
        """Return the name of a mark for the upstream's session ``index``, "" for all."""
        return self.hmacs.compute("index", index)

    @property
    def _records(self) -> Records[Session]:
        return Records(self.store, Session)

    @property
    def _pointers(self) -> Records[Pointer]:
        return Records(self.store, Pointer)

    @property
    def _ended(self) -> Records[Ended]:
        return Records(self.store, Ended)


def _age(session: Session) -> datetime:
    return session.at


def session_group(transaction: Transaction) -> str:
    """Return whose sessions a transaction's are: its person's id, or its own without a person."""
    return transaction.person.id if transaction.person else transaction.id
