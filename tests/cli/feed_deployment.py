"""A broker that reads the hub's metadata from a signed feed, and the feed's publisher."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from broker.adapters.saml.xml_security import signature
from broker.demo.people.personas import AU
from broker.demo.run.demo_folder import HUB, Setting
from broker.demo.saml.key_pair import KeyPair
from tests.plugins import metadata_feeds
from tests.plugins.feed_server import Publisher
from tests.plugins.saml_parties import idp_entity, key_descriptor

SCOPE = '<md:Extensions><s:Scope xmlns:s="urn:mace:shibboleth:metadata:1.0">au.dk</s:Scope></md:Extensions>'


@dataclass
class FeedDeployment:
    """The folder of a broker that follows the feed of ``publisher``. Two keys are pinned, the stranger's key is not."""

    setting: Setting
    publisher: Publisher
    pinned: tuple[KeyPair, KeyPair] = field(default_factory=lambda: (_make_key_pair("old"), _make_key_pair("new")))
    stranger: KeyPair = field(default_factory=lambda: _make_key_pair("stranger"))
    published: int = 0

    def follow(self) -> None:
        """Remove the hub's metadata file and the university's scopes from broker.toml: both come from the feed."""
        (self.setting.folder / "metadata" / "hub.xml").unlink()
        for name, each in zip(("old", "new"), self.pinned, strict=True):
            (self.setting.folder / f"{name}.pem").write_text(each.certificate)
        text = self.setting.config.read_text()
        scoped = f'entity_id = "{AU}", scopes = ["au.dk"]'
        assert scoped in text
        feed = f'[feeds.wayf]\nurl = "{self.publisher.url}"\npins = ["old.pem", "new.pem"]\n\n'
        text = text.replace(scoped, f'entity_id = "{AU}"').replace("[upstreams.wayf]", feed + "[upstreams.wayf]", 1)
        self.setting.config.write_text(text)

    def publish(
        self,
        *,
        by: KeyPair | None = None,
        days: float = 7,
        keys: tuple[KeyPair, ...] = (),
        sign: bool = True,
        university: bool = True,
    ) -> bytes:
        """Publish a feed with the hub and, if asked, the university. Each feed is valid a second longer than the last."""
        self.published += 1
        listed = [key_descriptor(each.certificate.encode(), "signing") for each in keys or (self.setting.hub,)]
        hub = idp_entity(HUB, *listed).replace(f"{HUB}/sso", self.setting.ports.origin("hub") + "/sso")
        until = datetime.now(UTC) + timedelta(days=days, seconds=self.published)
        entities = (hub, idp_entity(AU, SCOPE)) if university else (hub,)
        xml = metadata_feeds.build_feed(*entities, until=until)
        signer = by or self.pinned[0]
        key = signature.SigningKey.load(signer.key.encode(), signer.certificate.encode())
        octets = metadata_feeds.sign_feed(xml, key) if sign else xml.encode()
        self.publisher.publish(octets)
        return octets

    @property
    def copy(self) -> Path:
        """Return the file of the last good copy of the feed."""
        return self.setting.folder / "state" / "metadata" / "wayf" / "feed.xml"


def _make_key_pair(name: str) -> KeyPair:
    return KeyPair.generate(name, datetime.now(UTC))
