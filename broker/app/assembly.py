"""Opens every part of the broker from its configuration and connects the parts."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Event, Semaphore
from typing import Final

from broker.adapters.audit_log.audit_log import StoredAuditLog, open_audit_log
from broker.adapters.audit_log.hash_chain import Anchors
from broker.adapters.audit_log.person_events import ForgottenFile, PersonEvents
from broker.adapters.audit_log.person_keys import PersonKeys
from broker.adapters.library_systems.library_settings import open_library
from broker.adapters.mail.mail_texts import LibraryMailTexts
from broker.adapters.mail.smtp import Smtp
from broker.adapters.observability import application_log
from broker.adapters.observability.event_sinks import (
    EventSinks,
    RoutedAuditLog,
    to_audit_log,
    to_log,
    to_traces,
)
from broker.adapters.observability.log_budget import LogBudget
from broker.adapters.observability.metrics import Metrics
from broker.adapters.observability.sealed_message_log import MessageLog
from broker.adapters.person_register.open_register import open_register
from broker.adapters.saml.keys import key_ring
from broker.adapters.saml.metadata.live_metadata import LiveMetadata
from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.adapters.web.sign_up.content_files import Texts
from broker.app import policy_configuration
from broker.app.named_configuration import configuration
from broker.app.policy_configuration import PolicySurroundings, collect_faults
from broker.configuration import attribute_maps, durable_files
from broker.configuration.policies import live_policies
from broker.configuration.settings import config
from broker.core.borrowers.library_system import ExpectedSetup, LibraryCapability
from broker.core.entities import Service, Upstream
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind, EventPort, Sink
from broker.core.help_codes import StatelessReferences
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.ports import AuditLog, LibrarySystem, PersonRegister, Store
from broker.use_cases.enrolment.borrower_at_login import BorrowerAtLogin
from broker.use_cases.enrolment.cases import EnrolmentCases
from broker.use_cases.enrolment.claims import BorrowerClaims
from broker.use_cases.enrolment.find_borrower import BorrowerFinder
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.enrolment.register_look_ups import RegisterLookUps
from broker.use_cases.enrolment.requests import EnrolmentRequests
from broker.use_cases.enrolment.worker import PersonWorker
from broker.use_cases.library_system.guarded_library import BorrowerLeases, GuardedLibrary
from broker.use_cases.library_system.setup_proof import LibraryProof
from broker.use_cases.login.person_at_login import PersonAtLogin
from broker.use_cases.login.support_traces import SupportTraces
from broker.use_cases.personal_data.stored_data import StoredData
from broker.use_cases.pins.known_browsers import KnownBrowsers
from broker.use_cases.pins.library_login import LibraryLogins
from broker.use_cases.pins.mailbox_proofs import MailboxProof
from broker.use_cases.pins.mailed_codes import MailedCodes
from broker.use_cases.pins.pin_choice import PinChoices
from broker.use_cases.pins.pin_mails import PinMails
from broker.use_cases.policy_trials.explanations import RefusalExplainer
from broker.use_cases.policy_trials.login_trials import TrialSite
from broker.use_cases.staff.staff_search import StaffSearch
from broker.use_cases.storage.mail_outbox import MailOutbox
from broker.use_cases.storage.person_records import PersonRecords
from broker.use_cases.transactions.person_resolution import PersonResolution

DIGEST_LENGTH: Final = 12  # characters of a policy digest in logs, metrics and pages


def now() -> datetime:
    """Return the present time in UTC, from the only clock of the broker."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that endpoints, commands and the background worker use."""

    config: config.Config
    keys: key_ring.KeyRing
    metadata: LiveMetadata
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    maps: attribute_maps.AttributeMaps
    policies: live_policies.LivePolicies
    store: Store
    audit_log: StoredAuditLog
    tell: EventPort
    library: LibrarySystem
    register: PersonRegister | None
    library_proof: LibraryProof
    enrolment_ports: EnrolmentPorts
    enrolments: EnrolmentRequests
    borrower_finder: BorrowerFinder
    enrolment_cases: EnrolmentCases
    person_worker: PersonWorker
    codes: MailedCodes
    outbox: MailOutbox
    mailbox_proof: MailboxProof
    claims: BorrowerClaims
    pin_choices: PinChoices
    pin_mails: PinMails
    library_logins: LibraryLogins
    texts: Texts
    metrics: Metrics
    wake: Event
    messages: MessageLog | None = None

    @property
    def saml_upstreams(self) -> Mapping[str, Upstream]:
        """The upstreams that speak SAML, by name."""
        return {name: upstream for name, upstream in self.upstreams.items() if not upstream.local}

    def person_events(self) -> PersonEvents:
        """Return the events of persons in the audit log of this machine."""
        return PersonEvents(self.audit_log)

    def build_stored_data(self) -> StoredData:
        """Return the use case that exports and deletes everything about a person."""
        forgotten = ForgottenFile(self.config.state)
        persons = self.enrolment_ports.persons
        return StoredData(persons, self.person_events(), forgotten, self.services, now)

    def staff_search(self, clock: Callable[[], datetime] = now) -> StaffSearch:
        """Return the search for the person that staff help."""
        return StaffSearch(self.enrolment_cases, self.outbox, self.store, self.keys.index, clock)

    def make_configured_entities(self) -> ConfiguredEntities:
        """Return the configured services and upstreams, under the policy set of the moment."""
        return ConfiguredEntities(
            services=self.services,
            upstreams=self.upstreams,
            maps=self.maps.maps,
            policies=lambda: self.policies.current,
            pins_checked=LibraryCapability.PIN_CHECKED in self.library.capabilities,
        )

    def trial_site(self) -> TrialSite:
        """Return the site that staff try logins against: the policies in force."""
        return TrialSite(
            policies=self.policies.current,
            origin="in force",
            services=self.services,
            upstreams=self.upstreams,
            maps=self.maps.maps,
            configured=True,
            issuer=self.config.idp_entity_id,
            signs_up_at=self.config.sign_up.service,
        )

    def explainer(self) -> RefusalExplainer:
        """Return the explainer of references, by the policies in force."""
        references = StatelessReferences(self.keys.index)
        return RefusalExplainer(self.trial_site(), references, SupportTraces(self.store))

    def person_lookup(self) -> PersonAtLogin:
        """Return the look-up of a person through the ports."""
        configured = self.make_configured_entities()
        index = self.keys.index
        persons = PersonResolution(index, self.borrower_finder.has_borrower)
        borrowers = BorrowerAtLogin(
            self.enrolment_ports, self.enrolments, self.borrower_finder, self.config.library.mode
        )
        audit_log = RoutedAuditLog(self.tell)
        return PersonAtLogin(
            self.enrolment_ports.persons,
            index,
            self.keys.person,
            configured,
            persons,
            borrowers,
            audit_log,
        )


def open_broker() -> Parts:
    """Open the configured broker for a command; its log goes to standard error."""
    application_log.configure("stderr")
    return assemble(configuration())


def assemble(settings: config.Config) -> Parts:
    """Open and check every part; ConfigurationFaults with the faults of all parts."""
    opened = _open(settings)
    ring, store = opened.keys, opened.store
    audit_log = _route_audit_log(opened.audit_log, store, opened.sinks)
    wake = Event()
    library = GuardedLibrary(opened.library, store, ring.index, now)
    pins = _make_pins(settings, opened, library, wake, audit_log.tell)
    pin_mails = pins.pin_mails
    ports = _enrolment_ports(settings, ring, library, audit_log, pins)
    look_ups = _look_ups(ports, opened.register)
    codes, outbox = pin_mails.codes, pin_mails.outbox
    finder = BorrowerFinder(ports, pins.waiting_slots)
    return Parts(
        config=settings,
        keys=ring,
        metadata=opened.metadata,
        services=opened.services,
        upstreams=opened.upstreams,
        maps=opened.maps,
        policies=opened.policies,
        store=store,
        audit_log=opened.audit_log,
        tell=audit_log.tell,
        library=ports.library,
        register=opened.register,
        library_proof=_library_proof(opened, store, audit_log.tell),
        enrolment_ports=ports,
        enrolments=EnrolmentRequests(ports, wake, time.sleep, pins.waiting_slots),
        borrower_finder=finder,
        enrolment_cases=EnrolmentCases(ports, wake),
        person_worker=PersonWorker(ports, look_ups),
        codes=codes,
        outbox=outbox,
        mailbox_proof=MailboxProof(ports.persons, codes, outbox, pin_mails.letters),
        claims=BorrowerClaims(finder, codes, outbox, pin_mails.letters),
        pin_choices=pins.choices,
        pin_mails=pin_mails,
        library_logins=pins.logins,
        texts=opened.texts,
        metrics=opened.metrics,
        wake=wake,
        messages=opened.messages,
    )


@dataclass(frozen=True, slots=True)
class _Opened:
    """The parts that were opened from the configuration and checked one by one."""

    metrics: Metrics
    sinks: EventSinks
    keys: key_ring.KeyRing
    metadata: LiveMetadata
    maps: attribute_maps.AttributeMaps
    store: Store
    audit_log: StoredAuditLog
    library: LibrarySystem
    register: PersonRegister | None
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    texts: Texts
    messages: MessageLog | None
    policies: live_policies.LivePolicies


def _open(settings: config.Config) -> _Opened:
    faults: list[Fault] = []
    metrics = Metrics(lambda: application_log.dropped)
    log = to_log(application_log.tell, LogBudget(application_log.tell, now).write_limited)
    sinks = EventSinks({Sink.LOG: log, Sink.METRIC: metrics.count})
    keys = collect_faults(faults, lambda: key_ring.load(settings.keys))
    surroundings = policy_configuration.load(settings, sinks.tell, now())
    metadata = surroundings.metadata
    maps = surroundings.maps
    faults += surroundings.faults
    store = collect_faults(faults, lambda: _open_store(settings))
    sealed = EncryptedStore(store, keys.sealing, keys.sealing_id) if store and keys else None
    library = collect_faults(faults, lambda: _open_library(settings, metrics))
    register = collect_faults(faults, lambda: _open_register(settings, metrics))
    texts = collect_faults(faults, lambda: Texts.load(settings.content))
    messages = collect_faults(faults, lambda: _open_message_log(settings))
    audit_log = collect_faults(faults, lambda: _open_audit_log(settings, keys, sealed))
    policies = collect_faults(
        faults, lambda: _load_policies(settings, surroundings, sinks.tell, audit_log)
    )
    if faults or not (
        keys and metadata and maps and sealed and audit_log and library and texts and policies
    ):
        raise ConfigurationFaults(faults)
    return _Opened(
        metrics=metrics,
        sinks=sinks,
        keys=keys,
        metadata=metadata,
        maps=maps,
        store=sealed,
        audit_log=audit_log,
        library=library,
        register=register,
        services=surroundings.services,
        upstreams=surroundings.upstreams,
        texts=texts,
        messages=messages,
        policies=policies,
    )


def _enrolment_ports(
    settings: config.Config,
    ring: key_ring.KeyRing,
    library: GuardedLibrary,
    audit_log: RoutedAuditLog,
    pins: "_Pins",
) -> EnrolmentPorts:
    pin_mails = pins.pin_mails
    store = pin_mails.codes.store
    persons = PersonRecords(store, ring.index)
    return EnrolmentPorts(
        library=library,
        persons=persons,
        asks_register=settings.person_register is not None,
        hmacs=ring.index,
        now=now,
        trust_for=settings.library.trust_for,
        audit_log=audit_log,
        log=audit_log.tell,
        draft_welcome_mail=pin_mails.draft_welcome_mail,
        draft_match_notice=pin_mails.draft_match_notice,
        wake_mails=pin_mails.outbox.wake_worker,
        end_mailed_access=pins.choices.end_mailed_access,
    )


@dataclass(frozen=True, slots=True)
class _Pins:
    """The use cases around PINs and the library account, and the slots that limit waiting."""

    waiting_slots: Semaphore
    choices: PinChoices
    pin_mails: PinMails
    logins: LibraryLogins


def _make_pins(
    settings: config.Config, opened: _Opened, library: GuardedLibrary, wake: Event, tell: EventPort
) -> _Pins:
    store, index = opened.store, opened.keys.index
    codes = MailedCodes(store, index, now)
    outbox = MailOutbox(store, index, smtp(settings), now, wake, tell)
    letters = _mail_texts(settings)
    browsers = KnownBrowsers(PersonRecords(store, index), index, now)
    live = settings.library.mode == "live"
    # At most half of the threads wait for the library system: the others keep serving logins.
    waiting = Semaphore(max(1, settings.serve.threads // 2))

    def pin_categories() -> frozenset[str]:
        named = ExpectedSetup.from_policies(opened.policies.current).categories
        return frozenset(named) | frozenset(settings.library.pin_categories)

    return _Pins(
        waiting,
        PinChoices(
            library,
            BorrowerLeases(store, index, now),
            codes,
            browsers,
            outbox,
            letters,
            pin_categories,
            now,
            live,
            waiting_slots=waiting,
        ),
        PinMails(library, codes, outbox, letters, pin_categories, now, live),
        LibraryLogins(
            library,
            codes,
            browsers,
            outbox,
            letters,
            now,
            settings.library_account.mail_code,
            waiting_slots=waiting,
        ),
    )


def _open_store(settings: config.Config) -> Store:
    durable_files.make_state(settings.state)
    table = settings.store
    return open_store(table.url, settings.keys.parent, accept_loss=table.accept_loss)


def _open_audit_log(
    settings: config.Config, keys: key_ring.KeyRing | None, store: Store | None
) -> StoredAuditLog | None:
    if keys is None or store is None:
        return None
    # Several machines can share a Redis, and each has its own audit log. An SQLite file belongs to
    # one machine.
    machine = "" if settings.store.url.startswith("sqlite:") else platform.node()
    person_keys, anchors = PersonKeys(store, keys.index), Anchors(store, machine)
    return open_audit_log(
        settings.audit_folder, keys.audit, person_keys, anchors, application_log.tell
    )


def _route_audit_log(
    audit_log: StoredAuditLog, store: Store, startup: EventSinks
) -> RoutedAuditLog:
    """Return the audit log whose events reach every sink that ``ROUTES`` names for them."""
    sinks = {
        **startup.sinks,
        Sink.AUDIT_LOG: to_audit_log(audit_log),
        Sink.TRACE: to_traces(SupportTraces(store)),
    }
    return RoutedAuditLog(EventSinks(sinks).tell)


def _load_policies(
    settings: config.Config,
    surroundings: PolicySurroundings,
    tell: EventPort,
    audit_log: AuditLog | None,
) -> live_policies.LivePolicies:
    """Load the policies. Without an audit log only check them: the start fails anyway."""

    def record(before: str | None, after: str) -> None:
        if audit_log is not None:
            audit_log.add(
                AuditEvent(
                    AuditEventKind.POLICIES_LOADED,
                    now(),
                    digest=after[:DIGEST_LENGTH],
                    base=before[:DIGEST_LENGTH] if before else None,
                )
            )

    return live_policies.LivePolicies(
        settings.policies,
        surroundings.proving,
        now(),
        state=settings.state / "policies" if audit_log is not None else None,
        tell=partial(_log_policy_faults, tell),
        changed=partial(_log_policy_change, tell),
        record=record,
    )


def _open_message_log(settings: config.Config) -> MessageLog | None:
    log = settings.message_log
    if log is None:
        return None
    return MessageLog(settings.message_log_folder, log.public_key, tell=application_log.tell)


def _open_library(settings: config.Config, metrics: Metrics) -> LibrarySystem:
    table = settings.library
    return open_library(table.system, table.connector_settings(), metrics.library_call)


def _open_register(settings: config.Config, metrics: Metrics) -> PersonRegister | None:
    table = settings.person_register
    if table is None:
        return None
    return open_register(table.system, table.settings, metrics.register_call)


def _look_ups(ports: EnrolmentPorts, register: PersonRegister | None) -> RegisterLookUps | None:
    if register is None:
        return None
    return RegisterLookUps(
        ports.persons, register, ports.library, ports.audit_log, ports.log, ports.now
    )


def _library_proof(opened: _Opened, store: Store, tell: EventPort) -> LibraryProof:
    def find_expected_setup() -> ExpectedSetup:
        # Only ``broker work`` checks the set-up, and nothing else reloads its policies.
        return ExpectedSetup.from_policies(opened.policies.refresh(now()))

    return LibraryProof(opened.library, store, find_expected_setup, tell, now)


def _mail_texts(settings: config.Config) -> LibraryMailTexts:
    contact = settings.contact
    return LibraryMailTexts(
        contact.library_name(), f"{settings.base_url}/pin", contact.email or contact.phone
    )


def smtp(settings: config.Config) -> Smtp:
    """Return the configured mail server."""
    mail = settings.mail
    password = mail.password.get_secret_value() if mail.password else None
    return Smtp(mail.url, mail.sender, mail.username, password)


def _log_policy_faults(tell: EventPort, faults: tuple[Fault, ...]) -> None:
    """Log that faulty policy files leave the last good set in force, or that they are corrected."""
    for fault in faults:
        tell(BrokerEvent(EventKind.POLICIES_STALE, {"fault": str(fault)}))
    if not faults:
        tell(BrokerEvent(EventKind.POLICIES_MENDED))


def _log_policy_change(tell: EventPort, before: str, after: str) -> None:
    """Log that this worker decides by other policies from now on."""
    facts: dict[str, str | int | None] = {
        "digest": after[:DIGEST_LENGTH],
        "from": before[:DIGEST_LENGTH],
        "worker": os.getpid(),
    }
    tell(BrokerEvent(EventKind.POLICIES_CHANGED, facts))
