"""Opens and checks every part of a broker from its configuration, and says all that is wrong in one go."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event, Semaphore
from typing import TypeVar

from broker.adapters.libraries.entry_points import open_library
from broker.adapters.mail.letter_texts import LetterTexts
from broker.adapters.mail.smtp import Smtp
from broker.adapters.saml.keys import key_ring
from broker.adapters.saml.metadata.live_metadata import LiveMapping, LiveMetadata
from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.adapters.telling import application_log
from broker.adapters.telling.event_sinks import (
    EventSinks,
    ToldTrail,
    to_log,
    to_traces,
    to_trail,
)
from broker.adapters.telling.message_log import MessageLog
from broker.adapters.telling.metrics import Metrics
from broker.adapters.trail import audit_trail
from broker.adapters.trail.hash_chain import Anchors
from broker.adapters.trail.person_keys import PersonKeys
from broker.adapters.web.signup.content_files import Texts
from broker.app import open_metadata as living
from broker.core.audit_events import NO_TRAIL
from broker.core.entities import Service, Upstream
from broker.core.errors import BrokerError, ConfigurationFaults, Fault
from broker.core.events import BrokerEvent, EventKind, Sink, TellPort
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.ports import LibrarySystem, Store, Trail
from broker.files import attribute_maps
from broker.files import attribute_maps as fitting
from broker.files.policies import live_policies
from broker.files.settings import config
from broker.flows.borrowers.borrower_at_login import BorrowerAtLogin
from broker.flows.borrowers.enrolment_ports import EnrolmentPorts
from broker.flows.borrowers.enrolment_records import EnrolmentRecords
from broker.flows.borrowers.enrolments import Enrolments
from broker.flows.borrowers.staff_cases import StaffCases
from broker.flows.identity.person_links import PersonLinks
from broker.flows.identity.persons import Persons
from broker.flows.login.person_lookup import PersonLookup
from broker.flows.login.support_traces import SupportTraces
from broker.flows.proofs.mailbox_proof import MailboxProof
from broker.flows.proofs.pin_check import PinCheck
from broker.flows.proofs.pin_renewal import PinRenewal

T = TypeVar("T")


def now() -> datetime:
    """Give the one clock's time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the endpoints, the command line and the loop of enrolments are made of."""

    config: config.Config
    keys: key_ring.KeyRing
    metadata: LiveMetadata
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    maps: attribute_maps.AttributeMaps
    policies: live_policies.LivePolicies
    store: Store
    trail: Trail
    tell: TellPort
    library: LibrarySystem
    links: PersonLinks
    enrolments: Enrolments
    cases: StaffCases
    proving: MailboxProof
    guesses: PinCheck
    pin_letters: PinRenewal
    texts: Texts
    metrics: Metrics
    wake: Event
    messages: MessageLog | None = None

    @property
    def federated(self) -> Mapping[str, Upstream]:
        """Give the upstreams that speak SAML."""
        return _federated(self.upstreams)

    def rules(self) -> ConfiguredEntities:
        """Give the rules over the policy set of the moment."""
        return ConfiguredEntities(
            services=self.services,
            upstreams=self.upstreams,
            maps=self.maps.maps,
            policies=lambda: self.policies.refresh(now()),
        )

    def person_lookup(self) -> PersonLookup:
        """Give what asks the ports of a person."""
        rules, ring = self.rules(), self.keys
        persons = Persons(rules, self.links, self.enrolments)
        accounts = BorrowerAtLogin(self.store, ring.index, persons, self.enrolments)
        trail = ToldTrail(self.tell, self.trail)
        return PersonLookup(
            self.store, ring.index, ring.person, rules, persons, accounts, self.proving, trail
        )


def read_config(environ: Mapping[str, str] | None = None) -> config.Config:
    """Read the configuration the environment names; ``ConfigurationFaults`` with everything wrong in it."""
    return config.load(None, os.environ if environ is None else environ)


def assemble(settings: config.Config) -> Parts:
    """Open and check every part; ``ConfigurationFaults`` with the faults of all of them at once."""
    faults: list[Fault] = []
    counts = Metrics(lambda: application_log.dropped)
    startup_events = _startup_events(counts)
    ring = _tried(faults, lambda: key_ring.load(settings.keys))
    peers = _tried(faults, lambda: living.opened(settings, startup_events.tell, now()))
    maps, store = _tried(faults, lambda: _maps(settings)), _tried(faults, lambda: _opened(settings))
    library = _tried(faults, lambda: _library(settings))
    services = LiveMapping(lambda: peers.snapshot.services) if peers else living.services(settings)
    texts = _tried(faults, lambda: Texts.load(settings.content))
    messages = _tried(faults, lambda: _messages(settings))
    live = _tried(faults, lambda: _live(settings, services, maps, startup_events.tell))
    if faults or not (ring and peers and maps and library and store and live and texts):
        raise ConfigurationFaults(faults)
    sealed = EncryptedStore(store, ring.sealing, ring.sealing_id)
    trail = _told_trail(settings, ring, sealed, startup_events)
    tools = _tools(settings, ring, sealed, library, trail)
    wake, seats = Event(), Semaphore(max(1, settings.serve.threads // 2))
    enrolments = Enrolments(tools, settings.library.mode, wake, time.sleep, seats)
    cases = StaffCases(tools.records, tools.links, trail)
    return Parts(
        config=settings,
        keys=ring,
        metadata=peers,
        services=services,
        upstreams=LiveMapping(lambda: peers.current.completed_upstreams),
        maps=maps,
        policies=live,
        store=sealed,
        trail=trail.kept,
        tell=trail.tell,
        library=library,
        links=tools.links,
        enrolments=enrolments,
        cases=cases,
        proving=MailboxProof(sealed, ring.index, _smtp(settings), tools.letters, cases),
        guesses=PinCheck(sealed, ring.index, library, now, seats, time.sleep),
        pin_letters=_pin_letters(settings, tools, wake, seats),
        texts=texts,
        metrics=counts,
        wake=wake,
        messages=messages,
    )


def _startup_events(counts: Metrics) -> EventSinks:
    """Return the sinks that need no store: the metadata and the policies are opened beside it."""
    log = to_log(counts.counting_dropped(application_log.tell))
    return EventSinks({Sink.LOG: log, Sink.METRIC: counts.count})


def _told_trail(
    settings: config.Config, ring: key_ring.KeyRing, store: Store, startup: EventSinks
) -> ToldTrail:
    """Return the trail that tells by every sink that there is (``core.events``)."""
    trail = _trail(settings, ring, store)
    sinks = {Sink.TRAIL: to_trail(trail), Sink.TRACE: to_traces(SupportTraces(store))}
    return ToldTrail(EventSinks({**startup.sinks, **sinks}).tell, trail)


def _trail(settings: config.Config, ring: key_ring.KeyRing, store: Store) -> Trail:
    table = settings.audit
    if not table.on:
        return NO_TRAIL
    folder, must = Path(table.folder), table.required
    # A file is one machine's, whatever its name today; a Redis may be several's, each with a trail
    # of its own.
    machine = "" if settings.store.url.startswith("sqlite:") else platform.node()
    sealing, anchors = PersonKeys(store, ring.index), Anchors(store, machine)
    return audit_trail.open_trail(
        folder, ring.audit, sealing, anchors, application_log.tell, required=must, sync=table.sync
    )


def _tools(
    settings: config.Config,
    ring: key_ring.KeyRing,
    store: Store,
    library: LibrarySystem,
    trail: Trail,
) -> EnrolmentPorts:
    return EnrolmentPorts(
        library=library,
        mail=_smtp(settings),
        pseudonyms=ring.index,
        letters=_letter_texts(settings),
        links=PersonLinks(store, ring.index, now),
        records=EnrolmentRecords(store, now),
        now=now,
        trail=trail,
    )


def _library(settings: config.Config) -> LibrarySystem:
    return open_library(settings.library.system, settings.library.connector_settings())


def _pin_letters(
    settings: config.Config, tools: EnrolmentPorts, wake: Event, seats: Semaphore
) -> PinRenewal:
    store, mail, live = tools.records.store, _smtp(settings), settings.library.mode == "live"
    return PinRenewal(
        store, tools.pseudonyms, tools.library, mail, tools.letters, now, wake, live, seats
    )


def _live(
    settings: config.Config,
    services: Mapping[str, Service],
    maps: attribute_maps.AttributeMaps | None,
    tell: TellPort,
) -> live_policies.LivePolicies:
    return live_policies.LivePolicies.load(
        settings.policies,
        services,
        now(),
        attributes=maps.attributes if maps else None,
        maps=maps.maps if maps else None,
        state=settings.keys.parent / "state" / "policies",
        tell=partial(_tell_policies, tell),
    )


def _messages(settings: config.Config) -> MessageLog | None:
    log = settings.message_log
    return (
        MessageLog(log.folder, log.public_key, required=log.required, tell=application_log.tell)
        if log
        else None
    )


def _maps(settings: config.Config) -> attribute_maps.AttributeMaps:
    maps = attribute_maps.load(settings.attribute_maps)
    if faults := list(fitting.map_faults(map(settings.upstream, settings.upstreams), maps)):
        raise ConfigurationFaults(faults)
    return maps


def _opened(settings: config.Config) -> Store:
    return open_store(
        settings.store.url, settings.keys.parent, accept_loss=settings.store.accept_loss
    )


def _federated(upstreams: Mapping[str, Upstream]) -> Mapping[str, Upstream]:
    return {name: each for name, each in upstreams.items() if not each.local}


def _tried(faults: list[Fault], opening: Callable[[], T]) -> T | None:
    try:
        return opening()
    except ConfigurationFaults as found:
        faults.extend(found.faults)
    except BrokerError as error:
        faults.append(Fault(error.reason, str(error)))
    return None


def _letter_texts(settings: config.Config) -> LetterTexts:
    contact = settings.contact
    return LetterTexts(contact.name, f"{settings.base_url}/pin", contact.email or contact.phone)


def _smtp(settings: config.Config) -> Smtp:
    mail = settings.mail
    password = mail.password.get_secret_value() if mail.password else None
    return Smtp(mail.url, mail.sender, mail.username, password)


def _tell_policies(tell: TellPort, faults: tuple[Fault, ...]) -> None:
    """Tell that broken policy files leave the last good set in force, or that they are mended."""
    for fault in faults:
        tell(BrokerEvent(EventKind.POLICIES_STALE, {"fault": str(fault)}))
    if not faults:
        tell(BrokerEvent(EventKind.POLICIES_MENDED))
