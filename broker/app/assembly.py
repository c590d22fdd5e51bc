"""Opens every part of the broker from its configuration and connects the parts."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Event, Semaphore, Thread
from threading import enumerate as enumerate_threads
from typing import Final, ParamSpec, TypeVar

from broker.adapters.audit_log.audit_log import StoredAuditLog, open_audit_log
from broker.adapters.audit_log.forgotten_file import ForgottenFile
from broker.adapters.audit_log.hash_chain import Anchors
from broker.adapters.audit_log.person_keys import PersonKeys
from broker.adapters.mail.mail_texts import LibraryMailTexts
from broker.adapters.mail.smtp import Smtp
from broker.adapters.observability import application_log
from broker.adapters.observability.event_sinks import EventSinks, to_audit_log, to_log, to_traces
from broker.adapters.observability.log_budget import LogBudget
from broker.adapters.observability.metrics import Metrics
from broker.adapters.observability.sealed_message_log import MessageLog
from broker.adapters.person_register.open_register import open_register
from broker.adapters.saml.keys import key_ring
from broker.adapters.saml.metadata.live_metadata import LiveMetadata
from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.adapters.web.client_address import find_present_network
from broker.adapters.web.sign_up.content_files import Texts
from broker.app import policy_surroundings
from broker.app.named_configuration import configuration
from broker.app.open_metadata import open_metadata
from broker.app.policy_surroundings import collect_faults, read_library_settings
from broker.configuration import attribute_maps, durable_files
from broker.configuration.policies import live_policies
from broker.configuration.settings import config
from broker.core.borrowers.library_setup import ExpectedSetup, LibraryCapability
from broker.core.entities import Service, Upstream
from broker.core.errors import ConfigurationFaults, Fault, LibraryUnavailable
from broker.core.events.broker_events import EventPort, Sink
from broker.core.help_codes import StatelessReferences
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.site import Site
from broker.core.ports import LibrarySystem, PersonRegister, Store
from broker.use_cases.enrolment.borrower_at_login import BorrowerAtLogin
from broker.use_cases.enrolment.cases import EnrolmentCases
from broker.use_cases.enrolment.find_borrower import BorrowerFinder
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.enrolment.register_look_ups import RegisterLookUps
from broker.use_cases.enrolment.requests import EnrolmentRequests
from broker.use_cases.enrolment.worker import PersonWorker
from broker.use_cases.library_system.guarded_library import (
    BorrowerLeases,
    GuardedLibrary,
    WaitingSlot,
)
from broker.use_cases.library_system.setup_check import SetupChecker
from broker.use_cases.login.person_at_login import PersonAtLogin
from broker.use_cases.login.support_traces import SupportTraces
from broker.use_cases.personal_data.stored_data import StoredData
from broker.use_cases.pins.borrower_pins import BorrowerPins
from broker.use_cases.pins.known_browsers import KnownBrowsers
from broker.use_cases.pins.library_login import LibraryLogins
from broker.use_cases.pins.mailed_codes import MailedCodes
from broker.use_cases.policy_trials.explanations import RefusalExplainer
from broker.use_cases.policy_trials.login_trials import TrialSite
from broker.use_cases.staff.staff_search import StaffSearch
from broker.use_cases.storage.fleet import Fleet
from broker.use_cases.storage.mail_outbox import MailOutbox
from broker.use_cases.storage.person_records import PersonRecords
from broker.use_cases.transactions.person_identification import PersonIdentification

P = ParamSpec("P")
R = TypeVar("R")
_RELOAD_WITHIN_S: Final = 30.0
_RELOAD_THREAD: Final = "reload of the configuration"
_TIMED_CALLS: Final = ("get_many", "put_many", "claim", "count")


def now() -> datetime:
    """Return the present time in UTC, from the only clock of the broker."""
    return datetime.now(UTC)


@dataclass(slots=True)
class LastReload:
    """When the reload thread last read the watched files; None until the thread has started."""

    at: datetime | None = None


@dataclass(frozen=True)
class Parts:
    """Everything that endpoints, commands and the background worker use.

    The fields were opened from the configuration. The properties build use cases at first use.
    """

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
    texts: Texts
    metrics: Metrics
    messages: MessageLog | None
    wake: Event = field(default_factory=Event)
    last_reload: LastReload = field(default_factory=LastReload)

    @property
    def saml_upstreams(self) -> Mapping[str, Upstream]:
        """The upstreams that speak SAML, by name."""
        return {name: upstream for name, upstream in self.upstreams.items() if not upstream.local}

    @cached_property
    def persons(self) -> PersonRecords:
        """The person records."""
        return PersonRecords(self.store, self.keys.index)

    @cached_property
    def waiting_slot(self) -> WaitingSlot:
        """Slots for threads that wait for the library system: half of all threads stay free."""
        slots = Semaphore(max(1, self.config.serve.threads // 2))

        @contextmanager
        def hold_slot() -> Iterator[None]:
            if not slots.acquire(blocking=False):
                raise LibraryUnavailable("no slot to wait for the library in")
            try:
                yield
            finally:
                slots.release()

        return hold_slot

    @property
    def fleet(self) -> Fleet:
        """The reports of all processes that share the store."""
        return Fleet(self.store)

    # PINs and mails

    @cached_property
    def smtp(self) -> Smtp:
        """The configured mail server."""
        mail = self.config.mail
        password = mail.password.get_secret_value() if mail.password else None
        return Smtp(mail.url, mail.sender, mail.username, password)

    @cached_property
    def outbox(self) -> MailOutbox:
        """The queue of mails."""
        contact = self.config.contact
        texts = LibraryMailTexts(
            contact.library_name(), f"{self.config.base_url}/pin", contact.email or contact.phone
        )
        return MailOutbox(self.store, self.keys.index, self.smtp, texts, now, self.wake, self.tell)

    @cached_property
    def codes(self) -> MailedCodes:
        """The codes and links in mails."""
        return MailedCodes(self.store, self.keys.index, now)

    @cached_property
    def browsers(self) -> KnownBrowsers:
        """The browsers in which borrowers log in without a mailed code."""
        return KnownBrowsers(self.persons, self.keys.index, now)

    def pin_categories(self) -> frozenset[str]:
        """Return the borrower categories that may get a PIN here."""
        named = ExpectedSetup.from_policies(self.policies.current).categories
        return frozenset(named) | frozenset(self.config.library.pin_categories)

    @cached_property
    def pins(self) -> BorrowerPins:
        """The choice of a PIN by a borrower, and the mails with a link for it."""
        return BorrowerPins(
            self.library,
            BorrowerLeases(self.store, self.keys.index, now),
            self.codes,
            self.browsers,
            self.outbox,
            self.pin_categories,
            now,
            self.config.library.mode == "live",
            self.waiting_slot,
        )

    @cached_property
    def library_logins(self) -> LibraryLogins:
        """The login with the library account."""
        return LibraryLogins(
            self.library,
            self.codes,
            self.browsers,
            self.outbox,
            now,
            self.config.library_account.mail_code,
            self.waiting_slot,
        )

    # Borrowers and enrolments

    @cached_property
    def enrolment_ports(self) -> EnrolmentPorts:
        """The ports of enrolments."""
        return EnrolmentPorts(
            library=self.library,
            persons=self.persons,
            asks_register=self.register is not None,
            hmacs=self.keys.index,
            now=now,
            trust_for=self.config.library.trust_for,
            pins=self.pins,
            tell=self.tell,
        )

    @cached_property
    def enrolments(self) -> EnrolmentRequests:
        """The requests for borrowers."""
        return EnrolmentRequests(self.enrolment_ports, self.wake, time.sleep, self.waiting_slot)

    @cached_property
    def borrower_finder(self) -> BorrowerFinder:
        """The search for a person's borrower."""
        return BorrowerFinder(self.enrolment_ports, self.waiting_slot)

    @cached_property
    def enrolment_cases(self) -> EnrolmentCases:
        """The cases that staff decide."""
        return EnrolmentCases(self.enrolment_ports, self.wake)

    @cached_property
    def person_worker(self) -> PersonWorker:
        """The worker that carries out enrolments and look-ups in the register of persons."""
        ports, register = self.enrolment_ports, self.register
        return PersonWorker(ports, RegisterLookUps(ports, register) if register else None)

    @cached_property
    def setup_checker(self) -> SetupChecker:
        """The regular check of the library system's set-up."""

        def find_expected_setup() -> ExpectedSetup:
            # Only ``broker work`` checks the set-up, and nothing else reloads its policies.
            return ExpectedSetup.from_policies(self.policies.refresh(now()))

        return SetupChecker(self.library, self.store, find_expected_setup, self.tell, now)

    # Persons at a login

    @cached_property
    def person_lookup(self) -> PersonAtLogin:
        """The look-up of the person who logs in, and of their borrower."""
        return PersonAtLogin(
            self.persons,
            self.keys.index,
            self.keys.person,
            ConfiguredEntities(
                services=self.services,
                upstreams=self.upstreams,
                maps=self.maps.maps,
                policies=lambda: self.policies.current,
                pins_checked=LibraryCapability.PIN_CHECKED in self.library.capabilities,
            ),
            PersonIdentification(self.keys.index, self.borrower_finder.has_borrower),
            BorrowerAtLogin(
                self.enrolment_ports,
                self.enrolments,
                self.borrower_finder,
                self.config.library.mode,
            ),
            self.tell,
        )

    @property
    def stored_data(self) -> StoredData:
        """The export and the deletion of everything about a person."""
        forgotten = ForgottenFile(self.config.state)
        return StoredData(self.persons, self.audit_log, forgotten, now)

    # Staff

    @property
    def staff_search(self) -> StaffSearch:
        """The search for the person that staff help."""
        return StaffSearch(self.enrolment_cases, self.outbox, self.store, self.keys.index, now)

    def make_trial_site(self) -> TrialSite:
        """Return the site that staff try logins against, with the policies in force."""
        return TrialSite(
            policies=self.policies.current,
            origin="in force",
            site=Site.from_configuration(self.services, self.upstreams, self.maps.maps),
            signs_up_at=self.config.sign_up.service,
        )

    def make_explainer(self) -> RefusalExplainer:
        """Return the explainer of refusals, by their help codes and the policies in force."""
        references = StatelessReferences(self.keys.index)
        return RefusalExplainer(self.make_trial_site(), references, SupportTraces(self.store))


def open_broker() -> Parts:
    """Open the configured broker for a command; its log goes to standard error."""
    application_log.configure("stderr")
    return assemble(configuration())


def finish_reload(reload: Callable[[], R]) -> R:
    """Return what ``reload`` opens. Raises ConfigurationFaults if it takes longer than 30 s.

    A disk that hangs blocks its reader for ever, so a thread reads. Afterwards gunicorn forks
    workers. A worker that is forked beside the thread can inherit a lock of OpenSSL that nobody
    releases, so no other reload begins before the thread has ended.
    """
    result: Future[R] = Future()
    what = f"takes more than {_RELOAD_WITHIN_S:.0f} seconds"
    slow = ConfigurationFaults([Fault("reload", what, "see whether a disk hangs")])
    if any(thread.name == _RELOAD_THREAD for thread in enumerate_threads()):
        raise slow

    def run() -> None:
        try:
            result.set_result(reload())
        except BaseException as error:  # noqa: BLE001 - raised again below
            result.set_exception(error)

    thread = Thread(target=run, name=_RELOAD_THREAD, daemon=True)
    thread.start()
    thread.join(_RELOAD_WITHIN_S)
    if thread.is_alive():
        raise slow
    # ``join`` returns while the thread of the system still ends, and OpenSSL holds a lock then.
    while Path(f"/proc/self/task/{thread.native_id}").exists():
        time.sleep(0.001)
    return result.result()


def assemble(settings: config.Config) -> Parts:
    """Open and check every part. Raises ConfigurationFaults with the faults of all parts."""
    faults: list[Fault] = []
    metrics = Metrics(lambda: application_log.dropped)
    budget = LogBudget(application_log.log_event, now, find_present_network)
    log = to_log(application_log.log_event, budget.write_limited)
    sinks = {Sink.LOG: log, Sink.METRIC: metrics.count}
    tell = EventSinks(sinks).tell
    keys = collect_faults(faults, lambda: key_ring.load(settings.keys))
    around = policy_surroundings.load(settings, lambda: open_metadata(settings, tell, now()))
    faults += around.faults
    records = collect_faults(faults, lambda: _open_store(settings, metrics))
    library = collect_faults(
        faults, lambda: read_library_settings(settings).open(metrics.library_call)
    )
    register = collect_faults(faults, lambda: _open_register(settings, metrics))
    texts = collect_faults(faults, lambda: Texts.load(settings.content))
    messages = collect_faults(faults, lambda: _open_message_log(settings))
    collect_faults(faults, lambda: durable_files.make_state(settings.audit_folder))
    if faults or not (keys and around.metadata and around.maps and records and library and texts):
        # Name the faults of the policies too.
        collect_faults(faults, lambda: live_policies.load(settings.policies, now(), around.names))
        raise ConfigurationFaults(faults)
    store = EncryptedStore(records, keys.sealing, keys.sealing_id)
    audit_log = _open_audit_log(settings, keys, store)
    sinks[Sink.AUDIT_LOG] = to_audit_log(audit_log.add)
    sinks[Sink.TRACE] = to_traces(SupportTraces(store))
    state = settings.state / "policies"
    policies = live_policies.LivePolicies(
        settings.policies, around.names, now(), state=state, tell=tell
    )
    return Parts(
        config=settings,
        keys=keys,
        metadata=around.metadata,
        services=around.services,
        upstreams=around.upstreams,
        maps=around.maps,
        policies=policies,
        store=store,
        audit_log=audit_log,
        tell=tell,
        library=GuardedLibrary(library, store, keys.index, now),
        register=register,
        texts=texts,
        metrics=metrics,
        messages=messages,
    )


def _open_store(settings: config.Config, metrics: Metrics) -> Store:
    durable_files.make_state(settings.state)
    table = settings.store
    store = open_store(table.url, settings.keys.parent, accept_loss=table.accept_loss)
    for name in _TIMED_CALLS:
        setattr(store, name, _time_call(name, getattr(store, name), metrics))
    return store


def _time_call(name: str, call: Callable[P, R], metrics: Metrics) -> Callable[P, R]:
    """Return a call of the store that is also timed, whether it succeeds or not."""

    def run(*args: P.args, **options: P.kwargs) -> R:
        began = time.perf_counter()
        try:
            return call(*args, **options)
        finally:
            metrics.store_call(name, time.perf_counter() - began)

    return run


def _open_audit_log(
    settings: config.Config, keys: key_ring.KeyRing, store: Store
) -> StoredAuditLog:
    # Machines that share a store have an audit log each. Containers may have one host name.
    machine = durable_files.create_once(settings.state / "machine", secrets.token_hex(4).encode())
    person_keys, anchors = PersonKeys(store, keys.index), Anchors(store, machine.decode())
    return open_audit_log(
        settings.audit_folder, keys.audit, person_keys, anchors, application_log.log_event
    )


def _open_message_log(settings: config.Config) -> MessageLog | None:
    log = settings.message_log
    if log is None:
        return None
    return MessageLog(settings.message_log_folder, log.public_key, tell=application_log.log_event)


def _open_register(settings: config.Config, metrics: Metrics) -> PersonRegister | None:
    table = settings.person_register
    if table is None:
        return None
    return open_register(table.system, table.settings, metrics.register_call)
