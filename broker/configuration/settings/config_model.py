"""The settings of a broker as a whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from broker.configuration.settings.federation_tables import FeedTable, ServiceTable, UpstreamTable
from broker.configuration.settings.page_colour import Colour
from broker.configuration.settings.pictures import find_pictures
from broker.configuration.settings.tables import (
    AdminTable,
    Contact,
    IdpTable,
    LibraryAccountTable,
    LibraryTable,
    LimitsTable,
    MailTable,
    MessageLogTable,
    PlacesTable,
    RecordTable,
    RegisterTable,
    ServeTable,
    SignUpTable,
    StoreTable,
)
from broker.configuration.settings.value_types import (
    AddressPerLanguage,
    BaseUrl,
    Name,
    Network,
    SettingsTable,
    Url,
    optional_text,
)
from broker.core.entities import Service, Upstream
from broker.core.staff.staff_rules import StaffRules


class Config(SettingsTable):
    """The settings of a broker. ``config.load`` reads them."""

    model_config = ConfigDict(validate_default=True)

    base_url: BaseUrl
    shared_origin: bool = False  # another application at this origin could read our pages
    site: Path  # the folder of policies, attribute maps, metadata, texts and pictures
    keys: Path
    state: Path  # everything that the broker writes, except a store elsewhere
    # Networks of computers that several people use, in the library's halls.
    shared_networks: tuple[Network, ...] = ()
    language: Literal["da", "en"] = "da"
    colour: Colour | None = None
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
    def site_rules_file(self) -> Path:
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
    def uses_https(self) -> bool:
        """Return whether browsers use https. Then cookies are Secure."""
        return self.base_url.startswith("https:")

    @property
    def idp_entity_id(self) -> str:
        """Return the entityID of the IdP role."""
        return self.idp.entity_id or f"{self.base_url}/saml/idp/metadata"

    def core_upstreams(self) -> dict[str, Upstream]:
        """Return the upstreams by name, as values of the core."""
        return {name: self._core_upstream(name, table) for name, table in self.upstreams.items()}

    def _core_upstream(self, name: str, table: UpstreamTable) -> Upstream:
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

    def core_services(self) -> dict[str, Service]:
        """Return the services by name, as values of the core.

        Their ``encrypts`` is still False: metadata decides it.
        """
        return {name: self._core_service(name, table) for name, table in self.services.items()}

    def _core_service(self, name: str, table: ServiceTable) -> Service:
        # Four digits are a weak proof: a service accepts the library account only if it names it,
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
