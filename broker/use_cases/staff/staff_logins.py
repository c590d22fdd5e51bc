"""Logins to the staff view. They have their own requests, and no policy decides about them."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.entities import Upstream
from broker.core.errors import (
    AttributesRefused,
    BrowserUnmatched,
    StoreUnavailable,
    TransactionGone,
)
from broker.core.identity.canonical_attributes import AttributeMap
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.transaction import (
    ARRIVAL_USABLE_FOR,
    SKEW,
    Arrival,
    Authentication,
    AuthnRequest,
    Outstanding,
    UpstreamRefusal,
)
from broker.core.ports import Key
from broker.core.retention import STAFF_LOGIN
from broker.core.staff.staff_rules import StaffIdentity, StaffRefused, StaffRules, identify_staff
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.staff.staff_sessions import staff_key
from broker.use_cases.storage.records import Records, read_together
from broker.use_cases.transactions.transactions import draw_reference

# The ids of all other requests have a hex digit here. So an answer to a request of staff is never
# looked up among other logins, or the other way round.
_MARK: Final = "_s"
_ID_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class StaffLogin:
    """A login in progress: the browser that began it, and our request, not yet answered."""

    id: str
    reference: str
    browser: str
    request: Outstanding


@dataclass(frozen=True, slots=True)
class StaffLogins:
    """The logins of staff in the store.

    They share the arrivals of all logins, so that no assertion counts twice. ``upstream`` returns
    the upstream of staff with its present metadata.
    """

    arrivals: Arrivals
    rules: StaffRules
    upstream: Callable[[], Upstream]
    maps: Mapping[str, AttributeMap]

    @staticmethod
    def is_staff_request(request_id: str) -> bool:
        """Return whether an InResponseTo names a request of a staff login."""
        return request_id.startswith(_MARK)

    def authn_request(self) -> AuthnRequest:
        """Return the request to the upstream: a new login at the one institution."""
        return AuthnRequest(
            id="",
            service="",
            entity_id="",
            acs="",
            force_authn=True,
            idp_list=(self.rules.institution,),
        )

    def begin(self, browser: str, now: datetime) -> StaffLogin:
        """Store a login of this browser, with the request that is to be sent."""
        login_id = secrets.token_hex(_ID_DIGITS // 2)
        request_id = f"{_MARK}{login_id}{secrets.token_hex(16)}"
        request = Outstanding(request_id, self.rules.upstream, now)
        login = StaffLogin(login_id, draw_reference(), browser, request)
        if self._records.add(_key(login_id), login, STAFF_LOGIN.until(now), now) is None:
            raise StoreUnavailable("a new login could not be stored")
        return login

    def find_awaited_login(self, request_id: str, upstream: str, now: datetime) -> StaffLogin:
        """Return the login whose request an answer names, if it is open and sent to this upstream.

        Otherwise TransactionGone is raised (docs/reference/attacks.md#16 and #18).
        """
        begins = len(_MARK)
        login = self._read(request_id[begins : begins + _ID_DIGITS], now)
        if login.request.id != request_id or login.request.upstream != upstream:
            raise TransactionGone("not an outstanding request of this upstream")
        return login

    def find_reference(self, request_id: str, now: datetime) -> str:
        """Return the help code of the login of this request; raises TransactionGone."""
        return self.find_awaited_login(request_id, self.rules.upstream, now).reference

    def end(self, login: StaffLogin) -> None:
        """End a login whose answer was refused, so that it cannot be tried again."""
        self._records.drop(_key(login.id))

    def join_arrival(
        self, login_id: str, arrival_token: str, browsers: Sequence[str], now: datetime
    ) -> tuple[Authentication, str]:
        """Return what an arrival brings to its login, and the browser that began it.

        The login and the arrival are used up. Raises TransactionGone if one of them was used, is
        too old or belongs to another login; BrowserUnmatched, with the arrival destroyed, in
        another browser (docs/reference/design.md#4a-3); StaffRefused if the upstream logged nobody
        in.
        """
        key = self.arrivals.key(arrival_token)
        reads = read_together(self.arrivals.store, [_key(login_id), key], now)
        login = self._records.get_from(_key(login_id), reads)
        arrival = self.arrivals.get_from(key, reads)
        if login is not None and login.value.browser not in browsers:
            if arrival is not None:
                self.arrivals.spend(arrival, now)
            raise BrowserUnmatched("an arrival in another browser")
        if login is None or arrival is None or not _belongs(arrival.value, login.value, now):
            raise TransactionGone("not an arrival of this login")
        answer = arrival.value.answer
        spent = self.arrivals.draft_spent(arrival)
        if answer is None or not self.arrivals.store.put(*spent, now):
            raise TransactionGone("an arrival that is spent")
        self._records.drop(login.key)
        if isinstance(answer, UpstreamRefusal):
            raise StaffRefused("upstream_refused")
        if answer.authn_instant < login.value.request.sent - SKEW:
            raise StaffRefused("authenticated_before")
        return answer, login.value.browser

    def identify(self, answer: Authentication, now: datetime) -> StaffIdentity:
        """Return who has logged in; raises StaffRefused with the code of the reason."""
        upstream = self.upstream()
        institution = upstream.institution(answer.institution)
        if institution is None or institution.entity_id != self.rules.institution:
            raise StaffRefused("institution")
        if answer.upstream != self.rules.upstream:
            raise StaffRefused("upstream")
        try:
            reading = read_authentication(answer, upstream, self.maps, now)
        except AttributesRefused as refused:
            raise StaffRefused(refused.cause) from None
        return identify_staff(reading, self.rules)

    def _read(self, login_id: str, now: datetime) -> StaffLogin:
        record = self._records.get(_key(login_id), now)
        if record is None:
            raise TransactionGone("no such login of staff")
        return record.value

    @property
    def _records(self) -> Records[StaffLogin]:
        return Records(self.arrivals.store, StaffLogin)


def _belongs(arrival: Arrival, login: StaffLogin, now: datetime) -> bool:
    own = arrival.transaction == login.id and arrival.request == login.request.id
    return own and now <= arrival.at + ARRIVAL_USABLE_FOR


def _key(login_id: str) -> Key:
    return staff_key("login", login_id)
