"""Staff who are logged in: for a quarter of an hour, in one browser, as long as they are listed."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.core.errors import StoreUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention.table import STAFF_SESSION
from broker.core.staff import (
    StaffLoginNeeded,
    StaffPage,
    StaffRole,
    StaffRoleMissing,
    StaffRules,
    pages_of,
)
from broker.use_cases.records import Records


@dataclass(frozen=True, slots=True)
class StaffSession:
    """Somebody who is logged in: keyed hashes of their name, with where it is from, and browser."""

    who: str
    browser: str


@dataclass(frozen=True, slots=True)
class StaffMember:
    """Somebody of the staff as one request sees them: their session, and their roles of now."""

    id: str
    who: str
    browser: str
    roles: frozenset[StaffRole]
    until: datetime
    arrival: None = None

    @property
    def pages(self) -> tuple[StaffPage, ...]:
        """Return the pages that they may see."""
        return pages_of(self.roles)

    @property
    def role_words(self) -> str:
        """Return their roles as the trail has them."""
        return ", ".join(sorted(self.roles))

    def check(self, page: StaffPage) -> None:
        """Raise StaffRoleMissing where none of their roles may see ``page``."""
        if page not in self.pages:
            raise StaffRoleMissing(page.value)


@dataclass(frozen=True, slots=True)
class StaffSessions:
    """The sessions in a store, by the roles that ``rules`` give now."""

    store: Store
    hmacs: LookupHmacs
    rules: StaffRules

    def open(self, eppn: str, browser: str, now: datetime) -> tuple[StaffMember, str]:
        """Store a session of ``eppn`` in the browser of this pseudonym; return its token, too."""
        token = secrets.token_hex(32)
        session = StaffSession(who(self.hmacs, self.rules, eppn), browser)
        key = self._key(token)
        record = self._records.add(key, session, STAFF_SESSION.until(now), now)
        if record is None:
            raise StoreUnavailable("a new session could not be stored")
        return self._member(key, session, record.until), token

    def found(self, token: str, browsers: Sequence[str], now: datetime) -> StaffMember:
        """Return who the session of ``token`` is of; StaffLoginNeeded without one.

        Also where it came from another browser, and where the person has no role any more: what
        broker.toml says now counts, whatever it said at the login.
        """
        key = self._key(token)
        record = self._records.get(key, now)
        if record is None or record.value.browser not in browsers:
            raise StaffLoginNeeded("no session of this browser")
        member = self._member(key, record.value, record.until)
        if not member.roles:
            raise StaffLoginNeeded("no role any more")
        return member

    def end(self, member: StaffMember) -> None:
        """End a session: its cookie is worth nothing from now on."""
        self._records.drop(Key("staff", member.id, "session"))

    def _member(self, key: Key, session: StaffSession, until: datetime) -> StaffMember:
        roles: frozenset[StaffRole] = frozenset()
        for eppn, given in self.rules.roles.items():
            if who(self.hmacs, self.rules, eppn) == session.who:
                roles = given
        return StaffMember(key.group, session.who, session.browser, roles, until)

    def _key(self, token: str) -> Key:
        return Key("staff", self.hmacs.of("staff-session", token), "session")

    @property
    def _records(self) -> Records[StaffSession]:
        return Records(self.store, StaffSession)


def who(hmacs: LookupHmacs, rules: StaffRules, eppn: str) -> str:
    """Return the pseudonym by which somebody of the staff is known, in a session and on the trail.

    With the institution: listed under another one, the name is another person's.
    """
    return hmacs.of("staff", rules.upstream, rules.institution, eppn)
