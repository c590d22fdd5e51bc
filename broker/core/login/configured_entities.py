"""The configured services, upstreams and attribute maps, with the current policies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from broker.core.entities import Assurance, Controller, Names, Service, Upstream
from broker.core.errors import (
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    NO_AVAILABLE_IDP,
    NO_SUPPORTED_IDP,
    RequestRefused,
)
from broker.core.identity.attribute_values import find_class_assurance
from broker.core.identity.canonical_attributes import AttributeMap, AttributeReading
from broker.core.login.authentication_reading import PIN_CLASS
from broker.core.login.authn_context import Meets, class_for_service, describe_unmet, nsis_class
from broker.core.login.transaction import (
    PURPOSES_WITHOUT_PIN_LOGIN,
    Authentication,
    AuthnRequest,
    LoginPurpose,
    Transaction,
)
from broker.core.policy.model import PolicySet, Release


@dataclass(frozen=True, slots=True)
class ConfiguredEntities:
    """The configured services, upstreams and maps, and the current policy set.

    ``pins_checked`` says whether the library system can check a PIN. If it cannot, a login by PIN
    is not possible (docs/library-systems.md#capabilities). ``local`` are the upstreams where the
    library system itself verifies the person, by a PIN.
    """

    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    maps: Mapping[str, AttributeMap]
    policies: Callable[[], PolicySet]
    pins_checked: bool = True
    local: frozenset[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        local = frozenset(name for name, upstream in self.upstreams.items() if upstream.local)
        object.__setattr__(self, "local", local)

    # The class of authentication

    def authn_context(
        self, authentication: Authentication, reading: AttributeReading
    ) -> str | None:
        """Return the class of an authentication; None if it has none.

        For the national eID it is the NSIS level that was read from the attributes. So a service
        never gets a higher level than the one by which the policies decided.
        """
        if self.upstreams[authentication.upstream].profile != "oiosaml3":
            return authentication.authn_context
        assurance = reading.assurance
        if assurance is None or assurance is Assurance.SELF_ASSERTED:
            return None
        return nsis_class(assurance)

    def authentication_for_service(
        self, transaction: Transaction, reading: AttributeReading
    ) -> Authentication | None:
        """Return the authentication with the service's class; None if none fits."""
        authentication = transaction.authentication
        if authentication is None:
            return None
        received = self.authn_context(authentication, reading)
        given = class_for_service(transaction.request, received, self.meets(authentication))
        if given is None:
            return None
        return replace(authentication, authn_context=given or None)

    def meets(self, authentication: Authentication | None) -> Meets:
        """Return, by requested class, the upstream's classes that meet it.

        A requested class above the institution's ``max_assurance`` is left out.
        """
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
            if (find_class_assurance(wanted) or cap) <= cap
        }

    # The upstreams of a login

    def list_upstreams(
        self, request: AuthnRequest, purpose: LoginPurpose = LoginPurpose.LOGIN
    ) -> Names:
        """Return the upstreams that this request may use, in the service's order.

        An IDPList narrows them and never widens (docs/reference/saml-profiles.md#37). The library
        account is left out if no PIN meets the class, or if the library system cannot check one.
        Raises RequestRefused if none is left. Sign-up and choosing a PIN are never possible with a
        PIN. A PIN mail needs no login.
        """
        methods = self.services[request.service].methods
        if purpose is LoginPurpose.PIN_BY_MAIL:
            return ()
        if purpose in PURPOSES_WITHOUT_PIN_LOGIN:
            local = self.local
            return tuple(name for name in methods if name not in local)
        upstreams = self._select_by_idp_list(methods, request)
        return self._select_by_class(self._drop_unanswering(upstreams, request, purpose), request)

    def _drop_unanswering(
        self, upstreams: Names, request: AuthnRequest, purpose: LoginPurpose
    ) -> Names:
        """Return the upstreams without the library account if PINs cannot be checked."""
        if self.pins_checked:
            return upstreams
        able = tuple(name for name in upstreams if name not in self.local)
        if upstreams and not able and purpose is LoginPurpose.LOGIN:
            raise RequestRefused(
                NO_AVAILABLE_IDP, "the library system tells no right PIN", request=request
            )
        return able

    def _select_by_idp_list(self, methods: Names, request: AuthnRequest) -> Names:
        if not request.idp_list:
            return methods
        listed = tuple(
            name for name in methods if _is_listed(self.upstreams[name], request.idp_list)
        )
        if methods and not listed:
            raise RequestRefused(
                NO_SUPPORTED_IDP, "IDPList names no upstream of this service", request=request
            )
        return listed

    def _select_by_class(self, upstreams: Names, request: AuthnRequest) -> Names:
        able = tuple(name for name in upstreams if _meets_class(self.upstreams[name], request))
        if upstreams and not able:
            raise RequestRefused(
                NO_AUTHN_CONTEXT,
                "no upstream of this service meets the class",
                detail=describe_unmet(request, PIN_CLASS, upstreams[0]),
                request=request,
            )
        return able

    def check_name_id(self, request: AuthnRequest) -> None:
        """Raise RequestRefused for a NameID format that no policy gives the service.

        The person learns it before the login (docs/reference/saml-profiles.md#40).
        """
        if request.name_id_format is None:
            return
        service = self.services[request.service]
        formats = self.policies().name_id_formats
        given: set[str] = set()
        for name in (service.name, *service.categories):
            given |= formats.get(name, frozenset())
        if given and request.name_id_format not in given:
            raise RequestRefused(
                INVALID_NAME_ID_POLICY, "no policy gives this NameID format", request=request
            )

    # The configuration

    def service(self, name: str) -> Service:
        """Return the service of this name. It exists, because the request was checked for it."""
        return self.services[name]

    def find_giver(self, authentication: Authentication | None) -> Controller | None:
        """Return the institution that answered: the source of attributes on the consent page."""
        if authentication is None:
            return None
        upstream = self.upstreams[authentication.upstream]
        institution = upstream.institution(authentication.institution)
        if institution and institution.label:
            return Controller(institution.label)
        return Controller(upstream.label)

    def affiliations(self) -> frozenset[str]:
        """Return the affiliations that a person may choose as intent."""
        return frozenset(policy.affiliation for policy in self.policies().policies)

    def list_releases(self, service: str) -> tuple[Release, ...]:
        """Return what the policies release to ``service``, an entry for each affiliation."""
        return tuple(
            release
            for policy in self.policies().policies
            for release in policy.releases
            if release.service == service
        )


def _meets_class(upstream: Upstream, request: AuthnRequest) -> bool:
    """Return whether the upstream can meet the requested class.

    Before the login this is known only of the library account.
    """
    if not upstream.local:
        return True
    return class_for_service(request, PIN_CLASS, upstream.meets) is not None


def _is_listed(upstream: Upstream, idp_list: Names) -> bool:
    names = {upstream.entity_id}
    for institution in upstream.institutions:
        names |= {institution.entity_id, *institution.aliases}
    return not names.isdisjoint(idp_list)
