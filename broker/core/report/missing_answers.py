"""Find the questions of a record of processing that the configuration does not answer.

Source: GDPR article 30(1).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from broker.core.entities import Controller, Service, Text


class Topic(StrEnum):
    """The topic of a question."""

    NAME = "name"
    REACHED = "reached"
    OFFICER = "officer"
    NOTICE = "notice"
    JOINT = "joint"
    SECURITY = "security"
    RECEIVER = "receiver"
    RECEIVER_REACHED = "receiver_reached"
    SERVICE_NOTICE = "service_notice"
    USE = "use"
    USE_OF_CPR = "use_of_cpr"


@dataclass(frozen=True, slots=True)
class Question:
    """An unanswered question, and the key of broker.toml for the answer.

    ``service`` is None for the library itself, the library system and the mail server.
    """

    topic: Topic
    key: str
    service: Service | None = None


# The receivers other than services. No service can have such a name.
LIBRARY_SYSTEM: Final = "library_system"
MAIL_SERVER: Final = "mail_server"


@dataclass(frozen=True, slots=True)
class LibraryAnswers:
    """The answers in the configuration, about the library and about each receiver.

    ``receivers`` says by name how long a receiver keeps the data, whether it takes them out of the
    EU and the EEA, and by which law it may have CPR numbers.
    """

    name: Text | None = None
    email: str = ""
    phone: str = ""
    page: Text | None = None
    officer: str = ""
    privacy_notice: Text | None = None
    joint_controllers: Text | None = None
    security: Text | None = None
    receivers: Mapping[str, Text] = field(default_factory=dict)


def iter_missing(
    answers: LibraryAnswers, services: tuple[Service, ...], numbered: frozenset[str] = frozenset()
) -> Iterator[Question]:
    """Yield a question for each answer that is missing, those about the library first.

    ``numbered`` are the services that get CPR numbers.
    """
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
        yield from _find_missing_of_service(service)
        if service.name not in answers.receivers:
            topic = Topic.USE_OF_CPR if service.name in numbered else Topic.USE
            yield Question(topic, f"record.receivers.{service.name}", service)
    for name in (LIBRARY_SYSTEM, MAIL_SERVER):
        if name not in answers.receivers:
            yield Question(Topic.USE, f"record.receivers.{name}")


def _find_missing_of_service(service: Service) -> Iterator[Question]:
    controller: Controller | None = service.controller
    key = f"services.{service.name}"
    if controller is None:
        yield Question(Topic.RECEIVER, f"{key}.controller", service)
    elif not controller.contact:
        yield Question(Topic.RECEIVER_REACHED, f"{key}.controller.contact", service)
    if service.privacy_notice is None:
        yield Question(Topic.SERVICE_NOTICE, f"{key}.privacy_notice", service)
