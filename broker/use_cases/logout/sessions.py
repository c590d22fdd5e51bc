"""The sessions in the store: added when an assertion leaves, found by NameID or browser, and ended.

A login writes two records: the session itself, listed by browser, and a pointer by which its
service names it. An upstream's LogoutRequest comes through the browser, so that its sessions are
found there and no third index is necessary.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Final

from broker.core.login.transaction import Authentication, Transaction
from broker.core.logout.logout_state import LogoutRequest
from broker.core.logout.sessions import Session
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store, Write
from broker.core.retention import ENDED
from broker.use_cases.storage.records import Content, Record, Records, read_together

# The version of a session that was not changed yet: a repeated write finds itself.
_BEGUN: Final = "begun"


@dataclass(frozen=True, slots=True)
class Pointer:
    """The place of a session that a service names, and its person."""

    browser: str
    id: str
    person: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The mark that a person, or an upstream, has ended every login until then."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of all persons, under pseudonyms."""

    store: Store
    hmacs: LookupHmacs

    def add(self, session: Session, now: datetime) -> None:
        """Store a session before its assertion is sent again, and that it may have been sent.

        The same call again changes nothing. A session that was ended stays ended.
        """
        begun, pointed = self.draft(session)
        pointer = Content(Pointer(session.browser, session.id, session.person), session.until)
        again = self._pointers.draft(self._reissue_key(session), pointer, None, _BEGUN)
        self.store.put_many(begun, [pointed, again], now)

    def is_given_again(self, session: Session, now: datetime) -> bool:
        """Return whether another request may have sent the assertion of this session."""
        return self._pointers.get(self._reissue_key(session), now) is not None

    def draft(self, session: Session) -> tuple[Write, Write]:
        """Return the writes of a session and of its pointer, for ``Store.put_many``."""
        key = self._key(session.browser, session.id)
        content = Content(session, session.until)
        begun = self._records.draft(key, content, None, _BEGUN)
        named = self._name_id_group(session.entity_id, session.name_id.value)
        pointer = Content(Pointer(session.browser, session.id, session.person), session.until)
        pointing = Key("session", named, session.id)
        return begun, self._pointers.draft(pointing, pointer, None, _BEGUN)

    def find_named(
        self, entity_id: str, request: LogoutRequest, now: datetime
    ) -> tuple[Session, ...]:
        """Return the sessions of this service that its LogoutRequest names, ended ones included.

        A request without indexes names all sessions of the principal (saml-core 3.7.1) that existed
        when it was issued. An index is known only of a session that existed, so that no clock is
        compared.
        """
        named = []
        name_id = request.name_id
        latest = request.latest_issue_time
        group = self._name_id_group(entity_id, name_id.value)
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
        """Return the sessions of everybody in some browsers, oldest first, ended ones included."""
        sessions: list[Session] = []
        for browser in browsers:
            records = self._records.list("session", self._browser_group(browser), now)
            sessions += [record.value for record in records]
        return tuple(sorted(sessions, key=attrgetter("at")))

    def end(self, sessions: Iterable[Session], now: datetime) -> None:
        """Mark sessions as ended and drop their transactions, so that Back sends nothing.

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
        """Mark that every login of this person in this browser until then is over.

        With ``upstream``: only the logins by that upstream.
        """
        self._mark(self._person_mark_key(browser, person)._replace(name=upstream), until)

    def close_upstream(self, request: LogoutRequest) -> None:
        """Mark that an upstream has ended its session of a NameID, or of some indexes only."""
        until = request.latest_issue_time
        of_subject = self._subject_mark_key(request.peer.name, request.name_id.value)
        names = [self._index_name(index) for index in request.indexes]
        for name in names or [of_subject.name]:
            self._mark(of_subject._replace(name=name), until)

    def mark_ended(self, session: Session, now: datetime) -> None:
        """Mark a session as ended; its transaction stays."""
        self._amend(session, lambda each: replace(each, ended=each.ended or now), now)

    def is_over(self, transaction: Transaction, now: datetime) -> bool:
        """Return whether a logout has ended this transaction's login since the answer came.

        The answer counts from its arrival, not from when it met its browser: somebody may open the
        address in between later. A transaction writes its session before it looks, and a logout
        writes its mark before it lists sessions. So one of the two sees the other, and no login
        stays half-ended.
        """
        answer = transaction.authentication
        if answer is None:
            return False
        marks = list(self._iterate_marks(transaction, answer))
        reads = read_together(self.store, marks, now)
        for key in marks:
            mark = self._end_marks.get_from(key, reads)
            if mark and mark.value.at >= answer.received:
                return True
        return False

    def _iterate_marks(self, transaction: Transaction, answer: Authentication) -> Iterator[Key]:
        """Yield the keys of the marks that can end this transaction's login."""
        if transaction.browser:
            of_person = self._person_mark_key(transaction.browser, session_group(transaction))
            yield of_person
            yield of_person._replace(name=answer.upstream)
        if answer.name_id:
            of_subject = self._subject_mark_key(answer.upstream, answer.name_id)
            yield of_subject
            if answer.session_index:
                yield of_subject._replace(name=self._index_name(answer.session_index))

    def _amend(self, session: Session, change: Callable[[Session], Session], now: datetime) -> None:
        def change_record(record: Record[Session] | None) -> Content[Session] | None:
            if record is None:
                return None
            after = change(record.value)
            if after == record.value:
                return None
            return Content(after, record.until)

        self._records.amend(self._key(session.browser, session.id), change_record, now)

    def _mark(self, key: Key, until: datetime) -> None:
        """Mark every login until then as ended; a later mark stays."""

        def keep_latest(record: Record[Ended] | None) -> Content[Ended] | None:
            if record is not None and record.value.at >= until:
                return None
            return Content(Ended(until), ENDED.until(until))

        self._end_marks.amend(key, keep_latest, until)

    def _key(self, browser: str, session_id: str) -> Key:
        return Key("session", self._browser_group(browser), session_id)

    def _reissue_key(self, session: Session) -> Key:
        return Key("session", self.hmacs.compute("session-again", session.id))

    def _browser_group(self, browser: str) -> str:
        return self.hmacs.compute("session-browser", browser)

    def _name_id_group(self, entity_id: str, value: str) -> str:
        return self.hmacs.compute("session-named", entity_id, value)

    def _person_mark_key(self, browser: str, person: str) -> Key:
        """Return the key of a person's mark in a browser; its name is the upstream, or ""."""
        return Key("session", self.hmacs.compute("ended-person", browser, person))

    def _subject_mark_key(self, upstream: str, value: str) -> Key:
        """Return the key of the mark that ends all upstream sessions of a subject."""
        return Key(
            "session", self.hmacs.compute("ended-upstream", upstream, value), self._index_name("")
        )

    def _index_name(self, index: str) -> str:
        """Return the name of the mark for the upstream's session ``index``, "" for all."""
        return self.hmacs.compute("index", index)

    @property
    def _records(self) -> Records[Session]:
        return Records(self.store, Session)

    @property
    def _pointers(self) -> Records[Pointer]:
        return Records(self.store, Pointer)

    @property
    def _end_marks(self) -> Records[Ended]:
        return Records(self.store, Ended)


def session_group(transaction: Transaction) -> str:
    """Return the group of a transaction's sessions: the person id, or the transaction's own id."""
    return transaction.person_id or transaction.id
