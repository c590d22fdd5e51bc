"""The settings: read from broker.toml and the environment, and checked as a whole."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from broker.configuration.checked_files import (
    ANY_ITEM,
    KeyPath,
    did_you_mean,
    key_patterns,
    list_known_keys,
    once,
    sentence,
)
from broker.configuration.exposed_files import find_exposed_files
from broker.configuration.settings.address_types import BaseUrl, Network, Url
from broker.configuration.settings.crosschecks import crosscheck, find_weak_secrets
from broker.configuration.settings.federation_tables import FeedTable, ServiceTable, UpstreamTable
from broker.configuration.settings.pictures import find_pictures
from broker.configuration.settings.raw_settings import RawSettings, find_unfilled, variable
from broker.configuration.settings.relative_paths import resolve_paths
from broker.configuration.settings.tables import (
    AddressPerLanguage,
    AdminTable,
    Contact,
    IdpTable,
    LibraryAccountTable,
    LibraryTable,
    LimitsTable,
    MailTable,
    MessageLogTable,
    Name,
    PlacesTable,
    RecordTable,
    RegisterTable,
    ServeTable,
    SettingsTable,
    SignUpTable,
    StoreTable,
    optional_text,
)
from broker.configuration.settings.toml_and_environment import read
from broker.core.entities import Service, Upstream
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.staff.staff_rules import StaffRules


class Config(SettingsTable):
    """The settings of a broker. ``load`` reads them."""

    model_config = ConfigDict(validate_default=True)

    base_url: BaseUrl
    shared_origin: bool = False  # another application at this origin could read our pages
    site: Path  # the folder of policies, attribute maps, metadata, texts and pictures
    keys: Path
    state: Path  # everything that the broker writes, except a store elsewhere
    # Networks of computers that several people use, in the library's halls.
    shared_networks: tuple[Network, ...] = ()
    language: Literal["da", "en"] = "da"
    accessibility_statement: Url | None = None
    privacy_notice: AddressPerLanguage | None = None
    contact: Contact = Contact()
    record: RecordTable = RecordTable()
    places: PlacesTable = PlacesTable()
    sign_up: SignUpTable = SignUpTable()
    idp: IdpTable = IdpTable()
    store: StoreTable
    admin: AdminTable | None = None  # the staff view, off without it
    feeds: dict[Name, FeedTable] = Field(default_factory=dict)
    upstreams: dict[Name, UpstreamTable] = Field(min_length=1)
    services: dict[Name, ServiceTable] = Field(default_factory=dict)
    library: LibraryTable
    library_account: LibraryAccountTable = LibraryAccountTable()
    person_register: RegisterTable | None = None  # nobody is looked up without it
    mail: MailTable
    message_log: MessageLogTable | None = None
    limits: LimitsTable = LimitsTable()
    serve: ServeTable = ServeTable()

    @property
    def policy_properties(self) -> Path:
        """Return the file of the site rules, which hold whatever the policies say."""
        return self.site / "policy_properties.yaml"

    @property
    def policies(self) -> Path:
        """Return the folder of the policies."""
        return self.site / "policies"

    @property
    def attribute_maps(self) -> Path:
        """Return the folder of the attribute maps."""
        return self.site / "attribute_maps"

    @property
    def metadata(self) -> Path:
        """Return the folder of the descriptors that no feed has."""
        return self.site / "metadata"

    @property
    def content(self) -> Path | None:
        """Return the folder of texts that replace the shipped ones; None if there is none."""
        folder = self.site / "content"
        return folder if folder.is_dir() else None

    @property
    def audit_folder(self) -> Path:
        """Return the folder of the audit log."""
        return self.state / "audit"

    @property
    def message_log_folder(self) -> Path:
        """Return the folder of the messages with NemLog-in."""
        return self.state / "messages"

    @property
    def secure(self) -> bool:
        """Return whether browsers use https. Then cookies are Secure."""
        return self.base_url.startswith("https:")

    @property
    def idp_entity_id(self) -> str:
        """Return the entityID of the IdP role."""
        return self.idp.entity_id or f"{self.base_url}/saml/idp/metadata"

    def upstream(self, name: str) -> Upstream:
        """Return the upstream of this name as a value of the core; KeyError if there is none."""
        table = self.upstreams[name]
        return Upstream(
            name=name,
            profile=table.profile,
            entity_id=table.entity_id or self.idp_entity_id,
            sp_entity_id=table.sp_entity_id or f"{self.base_url}/saml/sp/{name}/metadata",
            attribute_map=table.attribute_map or table.profile,
            label=table.label.text(),
            institutions=table.core_institutions(),
            only=table.only,
            encryption=table.encryption,
            logout=table.logout,
            force_authn=table.national,
            requester_id=table.sends_requester_id,
            subject_hint=table.subject_hint,
            meets=table.authn_contexts,
        )

    def staff_rules(self) -> StaffRules | None:
        """Return who may use the staff view; None if there is none."""
        if self.admin is None:
            return None
        for name, table in self.upstreams.items():
            institutions = [each.entity_id for each in table.core_institutions()]
            if self.admin.institution in institutions:
                return self.admin.rules(name)
        return None

    def message_log_upstreams(self) -> tuple[str, ...]:
        """Return the names of the upstreams whose messages are kept: those of NemLog-in."""
        if self.message_log is None:
            return ()
        return tuple(
            name for name, upstream in self.upstreams.items() if upstream.profile == "oiosaml3"
        )

    def service(self, name: str) -> Service:
        """Return the service of this name as a value of the core; KeyError if there is none.

        Its ``encrypts`` is still False: metadata decides it.
        """
        table = self.services[name]
        # Four digits are a weak proof: a service takes the library account where it is named,
        # never by default.
        methods = (name for name, each in self.upstreams.items() if each.profile != "library")
        return Service(
            name=name,
            entity_id=table.entity_id,
            label=table.label.text(),
            methods=tuple(methods) if table.methods is None else table.methods,
            controller=table.controller.controller() if table.controller else None,
            categories=table.categories,
            description=optional_text(table.description),
            privacy_notice=optional_text(table.privacy_notice),
            url=optional_text(table.url),
            attribute_map=table.attribute_map,
            scope=self.idp.scope,
            encryption=table.encryption,
        )

    def pictures(self) -> Mapping[str, Path]:
        """Return the files of the pictures on our pages: "logo", "favicon", "service-NAME"."""
        return {path.stem: path for path in find_pictures(self.site)}


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read ``path`` (or the file BROKER_CONFIG names, or the environment alone) into a Config.

    ConfigurationFaults with every fault, its place and how to fix it; no fault quotes a secret.
    """
    if path is None and environ.get("BROKER_CONFIG"):
        path = Path(environ["BROKER_CONFIG"])
    base = path.parent if path else Path()
    raw = read(path, environ)
    blanks = list(find_unfilled(raw))
    resolve_paths(raw, base.resolve())
    config, misfits = _validate(raw)
    faults = [
        *raw.faults,
        *find_weak_secrets(raw),
        *find_exposed_files(Path(str(raw.tree["keys"]))),
        *misfits,
    ]
    places = {blank.where for blank in blanks}
    faults = [*blanks, *(fault for fault in faults if fault.where not in places)]
    if config and not faults:
        faults.extend(crosscheck(config, raw.where))
    if config is None or faults:
        raise ConfigurationFaults(faults)
    return config


def _validate(raw: RawSettings) -> tuple[Config | None, list[Fault]]:
    """Return the settings, None if some have faults, and the faults."""
    try:
        return Config(**raw.tree), []
    except ValidationError as error:
        misfits = error.errors(include_url=False, include_input=False)
        return None, [_fault(misfit, raw) for misfit in once(Config, misfits)]


# Messages of the validator in the words of TOML.
_WORDS: Final = {
    "path_type": "must be a text",
    "string_type": "must be a text",
    "tuple_type": "must be a list (in a variable JSON)",
    "frozen_set_type": "must be a list (in a variable JSON)",
    "dict_type": "must be a table (in a variable JSON)",
    "model_type": "must be a table (in a variable JSON)",
}


def _fault(misfit: ErrorDetails, raw: RawSettings) -> Fault:
    """Return the fault of what the validator refused; the value is never part of it."""
    path = tuple(step for step in misfit["loc"] if step != "[key]")
    where = raw.where(*path)
    if misfit["type"] == "missing":
        return Fault(where, "is missing", f"write it there, or set {variable(path)}")
    if misfit["type"] == "extra_forbidden":
        return Fault(where, "is no key of the configuration", _suggest_key(path))
    if misfit["loc"][-1] == "[key]" and misfit["type"] == "string_pattern_mismatch":
        what = "is no name: a-z, 0-9 and single - between them, because it is part of a URL"
        return Fault(where, what, "rename it")
    what = _WORDS.get(misfit["type"]) or sentence(misfit)
    return Fault(where, what, "see docs/configuration.md")


def _suggest_key(path: KeyPath) -> str:
    """Return the key that may have been meant, of the same table or else of another."""
    key = str(path[-1])
    beside = list_known_keys(Config, path[:-1])
    near = did_you_mean(key, beside, spelt=str)
    if near:
        return near
    for other in keys():
        if other.rpartition(".")[2] == key:
            return f"did you mean {other}?"
    return f"keys here: {', '.join(beside)}"


def keys() -> Iterator[str]:
    """Yield every key as the documentation names it: ``upstreams.NAME.institutions[].scopes``."""
    for path in key_patterns(Config):
        if path[1:] != ("settings",):  # holds the connector's own keys; not written itself
            yield ".".join(path).replace(f".{ANY_ITEM}", ANY_ITEM)
