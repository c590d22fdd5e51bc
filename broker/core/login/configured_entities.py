"""What is configured, as the flow sees it: services, ways to log in, and the decision over the current policies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Assurance, Controller, Service, Upstream
from broker.core.errors import NO_AUTHN_CONTEXT, NO_SUPPORTED_IDP, AttributesRefused, RequestRefused
from broker.core.identity.attribute_values import assurance_of_class
from broker.core.identity.attributes import (
    AttributeMap,
    AttributeReading,
    Attributes,
    WireAttribute,
    canonical,
)
from broker.core.identity.mailbox_proofs import MAIL_PROOF, Proved
from broker.core.identity.national_eid import check_eid_assertion, with_eid_attributes
from broker.core.login.authn_context import Meets, class_for_service, nsis
from broker.core.login.steps import ProveMailbox
from broker.core.login.transaction import Authentication, AuthnRequest, Errand, Transaction
from broker.core.policy.decision import evaluate
from broker.core.policy.missing_proof import missing_proof, provable_domains
from broker.core.policy.model import Decision, Effect, LoginFacts, PolicySet, Reason

# What a service is told of a login by number and PIN (saml-authn-context 3.4.8: a password over a
# protected session).
PIN_CLASS: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"


@dataclass(frozen=True, slots=True)
class ConfiguredEntities:
    """Services, upstreams and maps as configured, and the policy set of the moment."""

    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    maps: Mapping[str, AttributeMap]
    policies: Callable[[], PolicySet]

    def service(self, name: str) -> Service:
        """Return the service of this name; it was checked when the request was read."""
        return self.services[name]

    @property
    def local(self) -> frozenset[str]:
        """Return the upstreams where the library system itself knows the person: a PIN, and no assertion."""
        return frozenset(name for name, each in self.upstreams.items() if each.local)

    def ways(self, request: AuthnRequest, errand: Errand = Errand.LOGIN) -> tuple[str, ...]:
        """Return the upstreams this request may take, in the service's order.

        An IDPList narrows them and never widens (saml_profiles.md 37), a class that no PIN meets
        leaves the PIN out; RequestRefused where none is left. Nobody signs up, or makes a new PIN,
        by a PIN; a PIN by mail asks for no login.
        """
        methods = self.services[request.service].methods
        if errand is Errand.PIN_BY_MAIL:
            return ()
        if errand in {Errand.SIGN_UP, Errand.PIN}:
            return tuple(name for name in methods if name not in self.local)
        ways = tuple(
            name
            for name in methods
            if not request.idp_list or self._listed(self.upstreams[name], request.idp_list)
        )
        if methods and not ways:
            raise RequestRefused(
                NO_SUPPORTED_IDP, "IDPList names no way of this service", request=request
            )
        able = tuple(name for name in ways if not self._falls_short(self.upstreams[name], request))
        if ways and not able:
            raise RequestRefused(
                NO_AUTHN_CONTEXT, "no way of this service meets the class", request=request
            )
        return able

    def meets(self, authentication: Authentication | None) -> Meets:
        """Return what the classes of this upstream are good for, as far as its institution is good for it itself."""
        if authentication is None:
            return {}
        upstream = self.upstreams[authentication.upstream]
        if upstream.local:
            return upstream.meets
        institution = upstream.institution(authentication.institution)
        cap = institution.max_assurance if institution else Assurance.SELF_ASSERTED
        return {
            wanted: met
            for wanted, met in upstream.meets.items()
            if (assurance_of_class(wanted) or cap) <= cap
        }

    def came(self, authentication: Authentication, reading: AttributeReading) -> str | None:
        """Return the class of an authentication; None where it says none.

        The national eID's is its NSIS level as it was read, of whatever attributes: no service is
        told of more than the person was let in with, and the class beside the level tells how, not
        how surely.
        """
        if self.upstreams[authentication.upstream].profile != "oiosaml3":
            return authentication.authn_context
        level = reading.assurance
        if level is None or level is Assurance.SELF_ASSERTED:
            return None
        return nsis(level)

    def vouched(self, transaction: Transaction, reading: AttributeReading) -> Authentication | None:
        """Return the authentication with the class that the service is told; None where it is none that it asked for."""
        authentication = transaction.authentication
        if authentication is None:
            return None
        came = self.came(authentication, reading)
        told = class_for_service(transaction.request, came, self.meets(authentication))
        return None if told is None else replace(authentication, authn_context=told or None)

    def giver(self, authentication: Authentication | None) -> Controller | None:
        """Return the institution that answered, as the consent screen names where the attributes come from."""
        if authentication is None:
            return None
        upstream = self.upstreams[authentication.upstream]
        institution = upstream.institution(authentication.institution)
        label = institution.label if institution and institution.label else upstream.label
        return Controller(label)

    def reading(
        self, authentication: Authentication, now: datetime, proofs: tuple[Proved, ...] = ()
    ) -> AttributeReading:
        """Read the attributes of a verified authentication, and what the person has proved beside them.

        AttributesRefused where they cannot be trusted.
        """
        plain = self._read(authentication, now)
        return (
            replace(plain, attributes=_proved(plain.attributes, proofs, now)) if proofs else plain
        )

    def _read(self, authentication: Authentication, now: datetime) -> AttributeReading:
        upstream = self.upstreams[authentication.upstream]
        if upstream.local:
            # The library system said whose account it is, and of nobody who they are.
            ours = Attributes({each.name: each.values for each in authentication.attributes})
            return AttributeReading(ours, None, "none", None)
        institution = upstream.institution(authentication.institution)
        if institution is None:
            raise AttributesRefused("unknown_institution")
        by, said, today = self.maps[upstream.attribute_map], authentication.attributes, now.date()
        reading = canonical(said, by, institution, today)
        if upstream.profile == "oiosaml3":
            return check_eid_assertion(reading, said, authentication.name_id, upstream, today)
        return with_eid_attributes(reading, today) if by.complete else reading

    def decide(self, transaction: Transaction, now: datetime) -> Decision:
        """Decide by the policies of the moment; attributes that cannot be trusted deny."""
        policies = self.policies()
        authentication = transaction.authentication
        if authentication is None:
            return Decision(Effect.DENY, (Reason("no_affiliation"),), digest=policies.digest)
        try:
            reading = self.reading(authentication, now, transaction.proofs)
        except AttributesRefused as refused:
            return Decision(Effect.DENY, (Reason(refused.cause),), digest=policies.digest)
        return self.decide_on(transaction, reading, now)

    def decide_on(
        self, transaction: Transaction, reading: AttributeReading, now: datetime
    ) -> Decision:
        """Decide as ``decide`` does, where the transaction's authentication has been read already."""
        login = self._login(transaction, reading)
        service = self.service(transaction.request.service)
        known = self.maps.get(service.attribute_map)
        # Its metadata speaks by Names on the wire, policies by ours: what its map cannot name is
        # not required.
        named = replace(
            service,
            required=frozenset(
                row.name for row in (known.rows if known else ()) if row.wire in service.requires
            ),
        )
        return evaluate(self.policies(), login, named, now)

    def lacking(
        self, transaction: Transaction, reading: AttributeReading, now: datetime
    ) -> ProveMailbox | None:
        """Return the step in which the person proves what their intent needs and they have not proved, or None."""
        if transaction.authentication is None or transaction.intent is None:
            return None
        login = self._login(transaction, reading)
        proof = missing_proof(self.policies(), login, now.date())
        if proof is None:
            return None
        domains = provable_domains(proof, now.date())
        # What the upstream calls the person's address somebody typed there: it saves typing, and
        # proves nothing.
        told = reading.attributes.one("mail") or ""
        suggested = told if told.rpartition("@")[2].lower() in domains else None
        return ProveMailbox(proof.name, domains, proof.code_valid_for, suggested, optional=True)

    def affiliations(self) -> frozenset[str]:
        """Return what a person may say they are."""
        return frozenset(each.affiliation for each in self.policies().policies)

    def tells(self, service: str, attribute: str) -> bool:
        """Return whether a policy gives ``service`` this attribute of anybody."""
        return any(
            attribute in {each.name for each in release.attributes}
            for policy in self.policies().policies
            for release in policy.releases
            if release.service == service
        )

    @staticmethod
    def _login(transaction: Transaction, reading: AttributeReading) -> LoginFacts:
        known = transaction.person is not None and transaction.person.number is not None
        return LoginFacts(
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
    def _falls_short(upstream: Upstream, request: AuthnRequest) -> bool:
        return upstream.local and class_for_service(request, PIN_CLASS, upstream.meets) is None

    @staticmethod
    def _listed(upstream: Upstream, idp_list: tuple[str, ...]) -> bool:
        names = {upstream.entity_id} | {
            name for each in upstream.institutions for name in (each.entity_id, *each.aliases)
        }
        return not names.isdisjoint(idp_list)


def by_pin(upstream: str, borrower: Borrower, now: datetime) -> Authentication:
    """Return the authentication of who showed ``borrower``'s PIN: whose account it is, and nothing of who they are."""
    return Authentication(
        upstream=upstream,
        issuer="",
        institution="",
        authorities=(),
        attributes=(WireAttribute("borrower_category", (borrower.category,)),),
        authn_instant=now,
        authn_context=PIN_CLASS,
        received=now,
        assertion_until=now,
        name_id=borrower.number,
    )


def _proved(attributes: Attributes, proofs: tuple[Proved, ...], now: datetime) -> Attributes:
    """Add what the person proved; an address to write to only where the upstream named none."""
    more: dict[str, tuple[str, ...]] = {}
    for each in proofs:
        if each.until <= now:
            continue
        if each.name == MAIL_PROOF:
            more |= {} if attributes.one(MAIL_PROOF) else {MAIL_PROOF: (each.address,)}
        else:
            more |= {each.name: (each.address,), f"{each.name}_domain": (each.domain,)}
    return Attributes({**attributes, **more})
