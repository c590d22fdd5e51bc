"""A browser that logs out: the test plays the services and the hub, and follows every redirect of the logout."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from lxml import html
from werkzeug.test import TestResponse

from broker.adapters.saml.xml_security import http_bindings, safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import LOGOUT_REQUEST, RESPONSE
from broker.demo.run.demo_folder import HUB
from broker.demo.saml import logout_messages
from broker.demo.saml.logout_messages import KnownSession, LogoutMessage
from tests.plugins.deployment import Deployment, Person

PARTIAL = "Success / PartialLogout"


@dataclass(slots=True)
class LogoutClient:
    """One browser; ``hub`` lists the sessions that the hub knows, the newest last."""

    deployment: Deployment
    person: Person
    hub: list[KnownSession] = field(default_factory=list)

    def log_in(self, name: str = "asta", service: str = "my-loans", way: str = "wayf") -> KnownSession:
        """Log in at a service and return the session that the service knows."""
        page = self.page(name, service, way)
        return self.read_session(self.person.agree_if_asked(page))

    def page(self, name: str = "asta", service: str = "my-loans", way: str = "wayf") -> TestResponse:
        """Log in up to the page after the hub."""
        asked = self.person.ask(service)
        url = asked.location if asked.status_code == 302 else self.person.choose(asked, way)
        acs, fields = self.deployment.answer(url, name)
        response = safe_parser.parse(http_bindings.decode_post(fields["SAMLResponse"]), RESPONSE)
        self.hub.append(logout_messages.session_of(next(response.iter("{*}Assertion"))))
        return self.person.get(self.person.deliver(acs, fields).location)

    def read_session(self, page: TestResponse) -> KnownSession:
        """Read the session from the assertion that a page carries."""
        known = self.deployment.landing(page).session
        assert known is not None
        return known

    def request(self, service: str, session: KnownSession, key: signature.SigningKey | None = None) -> str:
        """Return the URL of a signed LogoutRequest of a service."""
        slo = self.deployment.peer.slo
        written = logout_messages.request(self.deployment.site(service).entity_id, slo, session)
        return http_bindings.build_redirect_url(slo, "SAMLRequest", written, "its state", key or self.key)

    def hub_request(self, session: KnownSession, upstream: str = "wayf") -> str:
        """Return the URL of a signed LogoutRequest of the hub."""
        slo = f"{self.person.base}/saml/sp/{upstream}/slo"
        return http_bindings.build_redirect_url(
            slo, "SAMLRequest", logout_messages.request(HUB, slo, session), None, self.deployment.hub_key()
        )

    def ask(self, service: str, session: KnownSession) -> TestResponse:
        """Begin a logout at a service and follow the broker's redirects to itself."""
        return self.follow(self.get(self.request(service, session)))

    def get(self, url: str) -> TestResponse:
        """Open one address of the broker."""
        return self.person.client.get(self.person.path(url), base_url=self.person.base)

    def press(self, page: TestResponse, link: str) -> TestResponse:
        """Follow the first link of a logout page whose address contains ``link``."""
        links = [str(each.get("href")) for each in _main(page).iter("a")]
        return self.follow(self.get(next(each for each in links if link in each)))

    def follow(self, response: TestResponse) -> TestResponse:
        """Follow the broker's redirects to itself."""
        while response.status_code in {302, 303} and response.location.startswith(self.person.base + "/"):
            response = self.get(response.location)
        return response

    def answer(self, response: TestResponse, *codes: str) -> TestResponse:
        """Answer the LogoutRequest in a redirect as the service or hub that receives it."""
        return self.follow(self.get(self.answer_url(response.location, codes)))

    def answer_url(
        self, url: str, codes: tuple[str, ...] = (), key: signature.SigningKey | None = None, issuer: str = ""
    ) -> str:
        """Return the URL of the answer of the party that ``url`` addresses; ``key`` and ``issuer`` can forge it."""
        party, to, own = self._party(url)
        written = logout_messages.response(issuer or party, to, self.read(url).id, codes or (logout_messages.SUCCESS,))
        return http_bindings.build_redirect_url(to, "SAMLResponse", written, None, key or own)

    def _party(self, url: str) -> tuple[str, str, signature.SigningKey]:
        """Return the entity that an address belongs to, the endpoint for its answer, and its signing key."""
        parts = urlsplit(url)
        if self.to_hub(url):
            root = safe_parser.parse(http_bindings.read_redirect(parts.query, "SAMLRequest").xml, LOGOUT_REQUEST)
            own = str(root.findtext("{*}Issuer"))
            return HUB, own.replace("/metadata", "/slo"), self.deployment.hub_key()
        return self.deployment.site(parts.path.split("/")[1]).entity_id, self.deployment.peer.slo, self.key

    @staticmethod
    def to_hub(url: str) -> bool:
        """Return whether an address is the hub's."""
        return (urlsplit(url).hostname or "").startswith("hub")

    def read(self, response: TestResponse | str) -> LogoutMessage:
        """Verify and read the broker's message in a URL or a redirect."""
        url = response if isinstance(response, str) else response.location
        query = urlsplit(url).query
        kind: http_bindings.MessageField = "SAMLRequest" if "SAMLRequest" in parse_qs(query) else "SAMLResponse"
        ours = [signature.VerifyKey.load(each) for each in self.deployment.parts.keys.sp.signing_certificates]
        return logout_messages.read(query, kind, ours if self.to_hub(url) else self.deployment.peer.keys)

    @property
    def key(self) -> signature.SigningKey:
        """Return the key of the library's services."""
        library = self.deployment.setting.library
        return signature.SigningKey.load(library.key.encode(), library.certificate.encode())


def redirect_target(response: TestResponse) -> str:
    """Return the party and path of a redirect."""
    parts = urlsplit(response.location)
    return f"{(parts.hostname or '').partition('.')[0]}{parts.path}"


def _main(page: TestResponse) -> html.HtmlElement:
    return next(html.fromstring(page.get_data()).iter("main"))


def read_participant_states(page: TestResponse) -> dict[str, str]:
    """Return the state of each session participant on a logout page, by name."""
    names, states = _main(page).iter("dt"), _main(page).iter("dd")
    return {str(name.text): str(state.get("data-state")) for name, state in zip(names, states, strict=True)}
