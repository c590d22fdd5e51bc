"""What a record of processing needs and the configuration does not say: questions, never filled in.

Source: GDPR article 30(1).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from broker.core.entities import Controller, Names, Service, Text


class Topic(StrEnum):
    """What a question is about."""

    NAME = "name"
    REACHED = "reached"
    OFFICER = "officer"
    NOTICE = "notice"
    JOINT = "joint"
    SECURITY = "security"
    RECEIVER = "receiver"
    RECEIVER_REACHED = "receiver_reached"
    SERVICE_NOTICE = "service_notice"
    KEPT = "kept"
    TRANSFERS = "transfers"
    SAFEGUARDS = "safeguards"
    CPR_LAW = "cpr_law"


@dataclass(frozen=True, slots=True)
class Question:
    """What is missing, and the key of broker.toml to answer in; ``service`` is whom it is about.

    None: the library itself, the library system or the mail server, as the key says.
    """

    topic: Topic
    key: str
    service: Service | None = None


@dataclass(frozen=True, slots=True)
class ReceiverAnswers:
    """What the library says of a receiver: None is not said.

    ``third_countries`` are those outside the EU and the EEA where it keeps or sends what it gets,
    none where it is empty; ``safeguards`` on what ground (GDPR articles 44 to 49). ``cpr_law``: the
    law by which it may have CPR numbers, for consent to a purpose is none everywhere.
    """

    kept_for: Text | None = None
    third_countries: Names | None = None
    safeguards: Text | None = None
    cpr_law: Text | None = None


UNANSWERED: Final = ReceiverAnswers()


@dataclass(frozen=True, slots=True)
class LibraryAnswers:
    """What the configuration says of the library, and of whoever receives something from it."""

    name: Text | None = None
    email: str = ""
    phone: str = ""
    page: Text | None = None
    officer: str = ""
    privacy_notice: Text | None = None
    joint_controllers: Text | None = None
    security: Text | None = None
    services: Mapping[str, ReceiverAnswers] = field(default_factory=dict)
    library_system: ReceiverAnswers = UNANSWERED
    mail: ReceiverAnswers = UNANSWERED

    def of_service(self, name: str) -> ReceiverAnswers:
        """Return what is said of a service."""
        return self.services.get(name, UNANSWERED)


_LIBRARY_SYSTEM: Final = "record.library_system"
_MAIL: Final = "record.mail"


def missing(
    answers: LibraryAnswers, services: tuple[Service, ...], numbered: frozenset[str] = frozenset()
) -> tuple[Question, ...]:
    """Return a question for each answer that is missing, those about the library first.

    ``numbered`` are the services that get CPR numbers.
    """
    return tuple(_missing(answers, services, numbered))


def _missing(
    answers: LibraryAnswers, services: tuple[Service, ...], numbered: frozenset[str]
) -> Iterator[Question]:
    own = (
        (Topic.NAME, "contact.name", answers.name),
        (Topic.REACHED, "contact.email", answers.email or answers.phone or answers.page),
        (Topic.OFFICER, "contact.dpo", answers.officer),
        (Topic.NOTICE, "privacy_notice", answers.privacy_notice),
        (Topic.JOINT, "record.joint_controllers", answers.joint_controllers),
        (Topic.SECURITY, "record.security", answers.security),
    )
    for topic, key, answer in own:
        if not answer:
            yield Question(topic, key)
    for service in services:
        yield from _of_service(service)
        own_answers = answers.of_service(service.name)
        key = f"record.services.{service.name}"
        yield from _of_receiver(own_answers, key, service)
        if service.name in numbered and own_answers.cpr_law is None:
            yield Question(Topic.CPR_LAW, f"{key}.cpr_law", service)
    yield from _of_receiver(answers.library_system, _LIBRARY_SYSTEM)
    yield from _of_receiver(answers.mail, _MAIL)


def _of_service(service: Service) -> Iterator[Question]:
    controller: Controller | None = service.controller
    key = f"services.{service.name}"
    if controller is None:
        yield Question(Topic.RECEIVER, f"{key}.controller", service)
    elif not controller.contact:
        yield Question(Topic.RECEIVER_REACHED, f"{key}.controller.contact", service)
    if service.privacy_notice is None:
        yield Question(Topic.SERVICE_NOTICE, f"{key}.privacy_notice", service)


def _of_receiver(
    answers: ReceiverAnswers, key: str, service: Service | None = None
) -> Iterator[Question]:
    if answers.kept_for is None:
        yield Question(Topic.KEPT, f"{key}.kept_for", service)
    if answers.third_countries is None:
        yield Question(Topic.TRANSFERS, f"{key}.third_countries", service)
    elif answers.third_countries and answers.safeguards is None:
        yield Question(Topic.SAFEGUARDS, f"{key}.safeguards", service)
