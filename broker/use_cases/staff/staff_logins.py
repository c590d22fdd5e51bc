"""Logins to the staff view. No policy decides about them, and no record of a person is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.entities import Upstream
from broker.core.errors import AttributesRefused, TransactionGone
from broker.core.identity.canonical_attributes import AttributeMap
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.transaction import (
    SKEW,
    Authentication,
    AuthnRequest,
    LoginPurpose,
    Outstanding,
    UpstreamRefusal,
)
from broker.core.staff.staff_rules import StaffIdentity, StaffRefused, StaffRules, identify_staff
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.login.login import make_authn_request, make_transaction
from broker.use_cases.transactions.transactions import LoginContext, Transactions


@dataclass(frozen=True, slots=True)
class StaffLogins:
    """The logins of staff in the store.

    They share the arrivals of all logins, so that no assertion is accepted again. ``upstream``
    returns the upstream of staff with its present metadata.
    """

    arrivals: Arrivals
    rules: StaffRules
    upstream: Callable[[], Upstream]
    maps: Mapping[str, AttributeMap]

    def begin(self, browser: str, now: datetime) -> tuple[LoginContext, Outstanding]:
        """Store a login of this browser, with the request that is to be sent.

        The request has ForceAuthn and names the institution of [admin].
        """
        request = AuthnRequest(
            id="",
            service="",
            entity_id="",
            acs="",
            force_authn=True,
            idp_list=(self.rules.institution,),
        )
        upstream = self.rules.upstream
        begun = make_transaction(request, now, shared=False, upstream=upstream)
        login = replace(begun, purpose=LoginPurpose.STAFF).bind(browser)
        sent = make_authn_request(login, upstream, now)
        return self._transactions.add(login.add_request(sent), now), sent

    def join_arrival(
        self, login_id: str, arrival_token: str, browsers: Sequence[str], now: datetime
    ) -> tuple[Authentication, str]:
        """Return what an arrival brings to its login, and the browser that began it.

        The login and the arrival are used up. Raises TransactionGone if one of them was used, is
        too old or belongs to another login; BrowserUnmatched, with the arrival destroyed, in
        another browser (docs/reference/design.md#4a-3); StaffRefused if the upstream logged nobody
        in.
        """
        context, arrival = self.arrivals.read_both(login_id, arrival_token, now)
        login = context.transaction
        if login.purpose is not LoginPurpose.STAFF:
            raise TransactionGone("no such login of staff")
        browser = self.arrivals.require_browser(login, arrival, browsers, now)
        answer = arrival.value.find_answer_for(login, now) if arrival else None
        if arrival is None or answer is None:
            raise TransactionGone("not an arrival of this login")
        if not self.arrivals.store.put(*self.arrivals.draft_spent(arrival), now):
            raise TransactionGone("the arrival was used")
        self._transactions.end(context)
        if isinstance(answer, UpstreamRefusal):
            raise StaffRefused("upstream_refused")
        if answer.authn_instant < login.begun - SKEW:
            raise StaffRefused("authenticated_before")
        return answer, browser

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

    @property
    def _transactions(self) -> Transactions:
        return Transactions(self.arrivals.store)
