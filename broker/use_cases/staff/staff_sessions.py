"""Sessions of the staff view, and the binding of each listed user name (eppn) to one person."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.core.errors import StoreUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention import STAFF_BINDING, STAFF_SESSION, STAFF_SESSION_AT_MOST
from broker.core.staff.staff_rules import (
    StaffIdentity,
    StaffLoginNeeded,
    StaffPage,
    StaffRefused,
    StaffRole,
    StaffRules,
    list_pages,
)
from broker.use_cases.storage.records import Content, Records

_BINDING = "binding"
_SESSION = "session"
_STAFF = "staff"


@dataclass(frozen=True, slots=True)
class StaffSession:
    """A session: the pseudonyms of the person and of the browser, and when it began."""

    staff_id: str
    browser: str
    began: datetime


@dataclass(frozen=True, slots=True)
class StaffBinding:
    """The person to whom a listed eppn belongs: a keyed hash of subject-id or CPR number."""

    identifier_hash: str


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A member of staff in one request: session, present roles, and the latest end of the session.

    ``arrival`` is a field of every owner of a form token; a staff session has no arrival.
    """

    id: str
    staff_id: str
    browser: str
    roles: frozenset[StaffRole]
    until_at_most: datetime
    arrival: None = None

    @property
    def pages(self) -> tuple[StaffPage, ...]:
        """Return the pages that the member may see."""
        return list_pages(self.roles)

    @property
    def sees_persons(self) -> bool:
        """Return whether the member may see borrowers and help persons."""
        return StaffRole.SERVICE_DESK in self.roles


@dataclass(frozen=True, slots=True)
class StaffSessions:
    """Opens, finds and ends sessions. ``rules`` gives the present roles."""

    store: Store
    hmacs: LookupHmacs
    rules: StaffRules

    def open(self, identity: StaffIdentity, browser: str, now: datetime) -> tuple[StaffMember, str]:
        """Open a session in this browser; return the member and the token.

        The first login of a listed eppn binds it to the person. Raises StaffRefused if it is bound
        to another person.
        """
        self.drop_unlisted(now)
        staff_id = compute_staff_id(self.hmacs, self.rules, identity.eppn)
        self._bind(staff_id, identity, now)
        token = secrets.token_hex(32)
        session_id = self._compute_session_id(token)
        session, until = StaffSession(staff_id, browser, now), STAFF_SESSION.until(now)
        if not self._sessions.add(staff_key(_SESSION, session_id), session, until, now):
            raise StoreUnavailable("a new session could not be stored")
        return self._member(session_id, session), token

    def find(self, token: str, browsers: Sequence[str], now: datetime) -> StaffMember:
        """Return the member whose session ``token`` opens, and renew the session.

        Raises StaffLoginNeeded if this browser has no such session, or if the person is no longer
        listed.
        """
        session_id = self._compute_session_id(token)
        key = staff_key(_SESSION, session_id)
        record = self._sessions.get(key, now)
        if record is None or record.value.browser not in browsers:
            raise StaffLoginNeeded("no session of this browser")
        member = self._member(session_id, record.value)
        if now >= member.until_at_most or not member.roles:
            raise StaffLoginNeeded("the session has ended")
        renewal = Content(record.value, min(STAFF_SESSION.until(now), member.until_at_most))
        self._sessions.write(key, renewal, record.version, now)
        return member

    def end(self, member: StaffMember) -> None:
        """End a session, so that a copy of its cookie opens nothing."""
        self._sessions.drop(staff_key(_SESSION, member.id))

    def drop_unlisted(self, now: datetime) -> None:
        """Drop the bindings and sessions of people who are no longer listed.

        An eppn that is listed again later is bound to the person of its next login.
        """
        listed = self._list_roles()
        for key, _ in list(self.store.list("session", _STAFF, now)):
            what, _, name = key.name.partition(" ")
            if what == _BINDING and name not in listed:
                self.store.drop(key)
            if what == _SESSION:
                session = self._sessions.get(key, now)
                if session is not None and session.value.staff_id not in listed:
                    self.store.drop(key)

    def _bind(self, staff_id: str, identity: StaffIdentity, now: datetime) -> None:
        bindings = Records(self.store, StaffBinding, durable=True)
        key = staff_key(_BINDING, staff_id)
        given = self.hmacs.compute("staff-binding", identity.identifier_type, identity.identifier)
        until = STAFF_BINDING.until(now)
        bound = bindings.get(key, now) or bindings.add(key, StaffBinding(given), until, now)
        if bound is None:  # another first login was faster
            bound = bindings.get(key, now)
        if bound is None or bound.value.identifier_hash != given:
            raise StaffRefused("bound_to_another_person")

    def _member(self, session_id: str, session: StaffSession) -> StaffMember:
        latest = STAFF_SESSION_AT_MOST.until(session.began)
        roles = self._list_roles().get(session.staff_id, frozenset())
        return StaffMember(session_id, session.staff_id, session.browser, roles, latest)

    def _list_roles(self) -> Mapping[str, frozenset[StaffRole]]:
        """Return the roles of everybody who is listed, by their pseudonym."""
        listed = self.rules.roles.items()
        return {compute_staff_id(self.hmacs, self.rules, eppn): roles for eppn, roles in listed}

    def _compute_session_id(self, token: str) -> str:
        return self.hmacs.compute("staff-session", token)

    @property
    def _sessions(self) -> Records[StaffSession]:
        return Records(self.store, StaffSession)


def staff_key(what: str, name: str) -> Key:
    """Return the key of a session or binding of staff. All of them are one group."""
    return Key("session", _STAFF, f"{what} {name}")


def compute_staff_id(hmacs: LookupHmacs, rules: StaffRules, eppn: str) -> str:
    """Return the pseudonym of a member of staff, in sessions and in the audit log.

    It includes the institution: the same eppn at another institution is another person.
    """
    return hmacs.compute("staff", rules.upstream, rules.institution, eppn)
