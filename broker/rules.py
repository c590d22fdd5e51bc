"""What is configured, as the flow sees it: services, ways to log in, and the decision over the current policies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from broker.core.attributes import AttributeMap, Reading, canonical
from broker.core.entities import Controller, Service, Upstream
from broker.core.errors import NO_SUPPORTED_IDP, AttributesRefused, RequestRefused
from broker.core.evaluation import evaluate
from broker.core.policy import Decision, Effect, Login, PolicySet, Reason
from broker.core.transaction import Authentication, AuthnRequest, Transaction


@dataclass(frozen=True, slots=True)
class Rules:
    """Services, upstreams and maps as configured, and the policy set of the moment."""

    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    maps: Mapping[str, AttributeMap]
    policies: Callable[[], PolicySet]

    def service(self, name: str) -> Service:
        """Give the service of this name; it was checked when the request was read."""
        return self.services[name]

    def ways(self, request: AuthnRequest) -> tuple[str, ...]:
        """Give the upstreams this request may take, in the service's order.

        An IDPList narrows them and never widens (saml_profiles.md 37); RequestRefused where it leaves none.
        """
        methods = self.services[request.service].methods
        if not request.idp_list:
            return methods
        ways = tuple(name for name in methods if self._listed(self.upstreams[name], request.idp_list))
        if not ways:
            raise RequestRefused(NO_SUPPORTED_IDP, "IDPList names no way of this service", request=request)
        return ways

    def giver(self, authentication: Authentication | None) -> Controller | None:
        """Give the institution that answered, as the consent screen names where the attributes come from."""
        if authentication is None:
            return None
        upstream = self.upstreams[authentication.upstream]
        institution = upstream.institution(authentication.institution)
        label = institution.label if institution and institution.label else upstream.label
        return Controller(label)

    def reading(self, authentication: Authentication, now: datetime) -> Reading:
        """Read the attributes of a verified authentication; AttributesRefused where they cannot be trusted."""
        upstream = self.upstreams[authentication.upstream]
        institution = upstream.institution(authentication.institution)
        if institution is None:
            raise AttributesRefused("unknown_institution")
        return canonical(authentication.attributes, self.maps[upstream.attribute_map], institution, now.date())

    def decide(self, transaction: Transaction, now: datetime) -> Decision:
        """Decide by the policies of the moment; attributes that cannot be trusted deny."""
        policies = self.policies()
        authentication = transaction.authentication
        if authentication is None:
            return Decision(Effect.DENY, (Reason("no_affiliation"),), digest=policies.digest)
        try:
            reading = self.reading(authentication, now)
        except AttributesRefused as refused:
            return Decision(Effect.DENY, (Reason(refused.cause),), digest=policies.digest)
        return self.decide_on(transaction, reading, now)

    def decide_on(self, transaction: Transaction, reading: Reading, now: datetime) -> Decision:
        """Decide as ``decide`` does, where the transaction's authentication has been read already."""
        login = self._login(transaction, reading)
        return evaluate(self.policies(), login, self.service(transaction.request.service), now)

    @staticmethod
    def _login(transaction: Transaction, reading: Reading) -> Login:
        known = transaction.person is not None and transaction.person.number is not None
        return Login(
            upstream=transaction.upstream or "",
            attributes=reading.attributes,
            assurance=reading.assurance,
            cpr=reading.cpr,
            age=reading.age,
            intent=transaction.intent,
            borrower=known or None,
            withheld=frozenset(name for name, _ in reading.withheld),
        )

    @staticmethod
    def _listed(upstream: Upstream, idp_list: tuple[str, ...]) -> bool:
        names = {upstream.entity_id} | {
            name for each in upstream.institutions for name in (each.entity_id, *each.aliases)
        }
        return not names.isdisjoint(idp_list)
