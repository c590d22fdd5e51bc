"""The configuration, whole and checked: broker.toml and the environment in, a frozen Config or every fault out."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from broker.core.entities import Assurance, Service, Upstream
from broker.core.errors import ConfigurationFaults, Fault
from broker.files.key_folder import exposed
from broker.files.settings.address_types import BaseUrl, Network, Url
from broker.files.settings.crosschecks import crosschecks
from broker.files.settings.federation_tables import FeedTable, ServiceTable, UpstreamTable
from broker.files.settings.tables import (
    AddressPerLanguage,
    AuditTable,
    Contact,
    IdpTable,
    LibraryTable,
    MailTable,
    MessageLogTable,
    Name,
    PlacesTable,
    ServeTable,
    SettingsTable,
    SignUpTable,
    StoreTable,
)
from broker.files.settings.toml_and_environment import Given, KeyPath, dotted, read, variable

FOLDERS: Final = ("metadata", "policies", "attribute_maps", "keys")


class Config(BaseSettings):
    """Everything an administrator decides outside the policy files; ``load`` is the way to one."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True
    )

    base_url: BaseUrl
    shared_origin: bool = (
        False  # another application answers at the same origin and could read our pages
    )
    metadata: Path
    policies: Path
    attribute_maps: Path
    keys: Path
    content: Path | None = None  # texts of the sign-up pages that replace the shipped ones
    shared_networks: tuple[
        Network, ...
    ] = ()  # of computers that several people use, in the library's halls
    language: Literal["da", "en"] = "da"
    accessibility_statement: Url | None = None
    privacy_notice: AddressPerLanguage | None = None
    contact: Contact = Contact()
    places: PlacesTable = PlacesTable()
    sign_up: SignUpTable = SignUpTable()
    idp: IdpTable = IdpTable()
    store: StoreTable = StoreTable()
    audit: AuditTable = AuditTable()
    feeds: dict[Name, FeedTable] = {}
    upstreams: dict[Name, UpstreamTable] = Field(min_length=1)
    services: dict[Name, ServiceTable] = {}
    library: LibraryTable
    mail: MailTable
    message_log: MessageLogTable | None = None
    serve: ServeTable = ServeTable()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what ``load`` hands in and nothing behind its back."""
        return (init_settings,)

    @property
    def secure(self) -> bool:
        """Say whether browsers come by https, and cookies are Secure with it."""
        return self.base_url.startswith("https:")

    @property
    def idp_entity_id(self) -> str:
        """Give the entityID of the face that services see."""
        return self.idp.entity_id or f"{self.base_url}/saml/idp/metadata"

    def upstream(self, name: str) -> Upstream:
        """Give the upstream of this name as the core has it; KeyError if there is none."""
        table = self.upstreams[name]
        return Upstream(
            name=name,
            profile=table.profile,
            entity_id=table.entity_id or self.idp_entity_id,
            sp_entity_id=table.sp_entity_id or f"{self.base_url}/saml/sp/{name}/metadata",
            attribute_map=table.attribute_map or table.profile,
            label=table.label.text(),
            institutions=table.parties(),
            only=table.only,
            cbc=table.cbc,
            logout=table.logout,
            force_authn=table.forces,
            requester_id=table.profile != "oiosaml3"
            if table.requester_id is None
            else table.requester_id,
            meets=table.authn_contexts,
            least=table.minimum or Assurance.SUBSTANTIAL,
            assurance_level=table.assurance_level,
        )

    def kept_upstreams(self) -> tuple[str, ...]:
        """Give the upstreams whose messages are kept."""
        if self.message_log is None:
            return ()
        every = tuple(name for name, each in self.upstreams.items() if each.profile == "oiosaml3")
        return every if self.message_log.upstreams is None else self.message_log.upstreams

    def _federated(self) -> tuple[str, ...]:
        # Four digits are a weak proof: a service takes the library account where it is named, never
        # by default.
        return tuple(name for name, each in self.upstreams.items() if each.profile != "library")

    def service(self, name: str) -> Service:
        """Give the service of this name as the core has it, ``encrypts`` still False; KeyError if there is none."""
        table = self.services[name]
        return Service(
            name=name,
            entity_id=table.entity_id,
            label=table.label.text(),
            methods=self._federated() if table.methods is None else table.methods,
            controller=table.controller.controller() if table.controller else None,
            categories=table.categories,
            description=table.description.text() if table.description else None,
            privacy_notice=table.privacy_notice.text() if table.privacy_notice else None,
            url=table.url.text() if table.url else None,
            attribute_map=table.attribute_map,
            scope=self.idp.scope,
        )


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read ``path`` (or the file BROKER_CONFIG names, or the environment alone) into a Config.

    ``ConfigurationFaults`` with every fault, where it stands and how to mend it; no fault quotes a
    secret.
    """
    if path is None and environ.get("BROKER_CONFIG"):
        path = Path(environ["BROKER_CONFIG"])
    given = read(Config, path, environ)
    _settle(given, (path.parent if path else Path()).resolve())
    faults = [*given.faults, *crosschecks(given)]
    try:
        config = Config(**given.tree)
    except ValidationError as error:
        raise ConfigurationFaults(
            [*faults, *_told(error, given)]
        ) from None  # the chain would quote the values
    faults.extend(exposed(config.keys))
    if faults:
        raise ConfigurationFaults(faults)
    return config


def _settle_trail(given: Given, base: Path) -> None:
    trail = given.tree.setdefault("audit", {})
    if isinstance(trail, dict) and isinstance(place := trail.get("folder", "audit"), str) and place:
        trail["folder"] = str(base / place)


def _settle(given: Given, base: Path) -> None:
    """Make every path absolute, from the file's folder; the folders have their defaults beside the file."""
    for key in FOLDERS:
        value = given.tree.get(key, key)
        if isinstance(value, str):
            given.tree[key] = str(base / value)
    if isinstance(content := given.tree.get("content"), str):
        given.tree["content"] = str(base / content)
    for feed in _tables_of(given.tree.get("feeds")):
        if isinstance(pins := feed.get("pins"), list):
            feed["pins"] = [str(base / each) if isinstance(each, str) else each for each in pins]
        if isinstance(ca_file := feed.get("ca_file"), str):
            feed["ca_file"] = str(base / ca_file)
    if isinstance(log := given.tree.get("message_log"), dict):
        log.update(
            {
                key: str(base / log[key])
                for key in ("folder", "public_key")
                if isinstance(log.get(key), str)
            }
        )
    _settle_trail(given, base)
    library = given.tree.get("library")
    if isinstance(library, dict):
        files = {key: value for key, value in library.items() if key.endswith("_file") and value}
        library.update(
            {key: str(base / value) for key, value in files.items() if isinstance(value, str)}
        )
    store = given.tree.setdefault("store", {})
    if isinstance(store, dict) and isinstance(url := store.get("url", "sqlite:broker.db"), str):
        name = url.removeprefix("sqlite:")
        store["url"] = f"sqlite:{base / name}" if name not in {url, ""} else url


def _tables_of(named: object) -> list[dict[str, Any]]:
    return (
        [each for each in named.values() if isinstance(each, dict)]
        if isinstance(named, dict)
        else []
    )


def _told(error: ValidationError, given: Given) -> Iterator[Fault]:
    """Turn the validator's findings into faults; the value found is never part of them."""
    for found in error.errors(include_url=False, include_input=False):
        place: KeyPath = tuple(part for part in found["loc"] if part != "[key]")
        kind, what = found["type"], found["msg"].removeprefix("Value error, ")
        if kind == "missing":
            yield Fault(
                given.where(place), "is missing", f"write it there, or set {variable(place)}"
            )
        elif kind == "extra_forbidden":
            yield Fault(given.where(place), "is no key of the configuration", _meant(place))
        elif found["loc"][-1] == "[key]":
            what = "is no name: a-z, 0-9 and single - between them, because it is part of a URL"
            yield Fault(given.where(place), what, "rename it")
        else:
            yield Fault(
                given.where(place), what[:1].lower() + what[1:], "see docs/configuration.md"
            )


def _meant(place: KeyPath) -> str:
    """Say which key may have been meant, among those of the same table, else of any."""
    pattern = re.sub(
        r"^(upstreams|services|feeds)\.[^.\[]+", r"\1.NAME", re.sub(r"\[\d+\]", "[]", dotted(place))
    )
    table, _, last = pattern.rpartition(".")
    known = list(keys())
    beside = [each.rpartition(".")[2] for each in known if each.rpartition(".")[0] == table]
    near = difflib.get_close_matches(last, beside, 1)
    if near:
        return f"did you mean {near[0]}?"
    elsewhere = [each for each in known if each.rpartition(".")[2] == last]
    return f"did you mean {elsewhere[0]}?" if elsewhere else f"keys here: {', '.join(beside)}"


def keys(kind: type[BaseModel] = Config, prefix: str = "") -> Iterator[str]:
    """Give every key as the documentation names it: ``upstreams.NAME.institutions[].scopes``."""
    for name, field in kind.model_fields.items():
        if (kind, name) == (LibraryTable, "settings"):
            continue  # holds the connector's own keys; not written itself
        yield prefix + name
        for table, suffix in _tables(field.annotation):
            yield from keys(table, prefix + name + suffix + ".")


def _tables(annotation: Any) -> Iterator[tuple[type[SettingsTable], str]]:
    """Find the tables in a type, and how they are reached from its key."""
    if isinstance(annotation, type) and issubclass(annotation, SettingsTable):
        yield annotation, ""
    origin = get_origin(annotation)
    suffix = ".NAME" if origin is dict else "[]" if origin is tuple else ""
    for part in get_args(annotation):
        yield from ((table, suffix + below) for table, below in _tables(part))
