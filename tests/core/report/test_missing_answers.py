"""What nobody has written is asked, with the key to write it in; nothing is filled in."""

from dataclasses import replace

from broker.core.entities import Controller, Text
from broker.core.report.missing_answers import LibraryAnswers, ReceiverAnswers, Topic, missing
from tests.plugins.reported import LOANS

WORDS = Text("words", "ord")
SAID = ReceiverAnswers(kept_for=WORDS, third_countries=())
BARE = replace(LOANS, controller=None, privacy_notice=None)


def test_of_an_empty_configuration_everything_is_asked() -> None:
    """Each topic once but that of countries which nobody has named, of each receiver, with its key."""
    found = {each.key: each.topic for each in missing(LibraryAnswers(), (BARE,))}
    assert found == {
        "contact.name": Topic.NAME,
        "contact.email": Topic.REACHED,
        "contact.dpo": Topic.OFFICER,
        "privacy_notice": Topic.NOTICE,
        "record.joint_controllers": Topic.JOINT,
        "record.security": Topic.SECURITY,
        "services.my-loans.controller": Topic.RECEIVER,
        "services.my-loans.privacy_notice": Topic.SERVICE_NOTICE,
        "record.services.my-loans.kept_for": Topic.KEPT,
        "record.services.my-loans.third_countries": Topic.TRANSFERS,
        "record.library_system.kept_for": Topic.KEPT,
        "record.library_system.third_countries": Topic.TRANSFERS,
        "record.mail.kept_for": Topic.KEPT,
        "record.mail.third_countries": Topic.TRANSFERS,
    }


def test_who_gets_cpr_numbers_is_asked_for_the_law() -> None:
    """Once it is said, no more; nor is it asked of another service."""
    keys = [each.key for each in missing(LibraryAnswers(), (LOANS,), frozenset({"my-loans"}))]
    assert "record.services.my-loans.cpr_law" in keys
    answers = LibraryAnswers(services={"my-loans": replace(SAID, cpr_law=WORDS)})
    for said, numbered in ((answers, {"my-loans"}), (LibraryAnswers(), {"myprint"})):
        topics = {each.topic for each in missing(said, (LOANS,), frozenset(numbered))}
        assert Topic.CPR_LAW not in topics


def test_of_a_whole_configuration_nothing_is_asked() -> None:
    """Any way of reaching the library will do, and an empty list of countries is an answer."""
    answers = LibraryAnswers(
        name=WORDS,
        phone="1",
        officer="o",
        privacy_notice=WORDS,
        joint_controllers=WORDS,
        security=WORDS,
        services={"my-loans": SAID},
        library_system=SAID,
        mail=SAID,
    )
    assert missing(answers, (replace(LOANS, privacy_notice=WORDS),)) == ()


def test_countries_need_a_ground_and_controllers_an_address() -> None:
    """What is half said is asked for the other half."""
    answers = LibraryAnswers(services={"my-loans": ReceiverAnswers(WORDS, ("US",))})
    service = replace(LOANS, controller=Controller(WORDS))
    keys = [each.key for each in missing(answers, (service,)) if each.service == service]
    assert keys == [
        "services.my-loans.controller.contact",
        "services.my-loans.privacy_notice",
        "record.services.my-loans.safeguards",
    ]
