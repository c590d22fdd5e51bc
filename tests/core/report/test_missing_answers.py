"""A question is asked for each missing answer, with the key to answer in."""

from dataclasses import replace

from broker.core.entities import Controller, Text
from broker.core.report.missing_answers import LIBRARY_SYSTEM, MAIL_SERVER, LibraryAnswers, Topic, iter_missing
from tests.plugins.sample_report import LOANS

WORDS = Text("words", "ord")
BARE = replace(LOANS, controller=None, privacy_notice=None)


def test_of_an_empty_configuration_everything_is_asked() -> None:
    """Each topic once, the use of each receiver too, with its key."""
    found = {each.key: each.topic for each in iter_missing(LibraryAnswers(), (BARE,))}
    assert found == {
        "contact.name": Topic.NAME,
        "contact.email": Topic.REACHED,
        "contact.dpo": Topic.OFFICER,
        "privacy_notice": Topic.NOTICE,
        "record.joint_controllers": Topic.JOINT,
        "record.security": Topic.SECURITY,
        "services.my-loans.controller": Topic.RECEIVER,
        "services.my-loans.privacy_notice": Topic.SERVICE_NOTICE,
        "record.receivers.my-loans": Topic.USE,
        "record.receivers.library_system": Topic.USE,
        "record.receivers.mail_server": Topic.USE,
    }


def test_a_receiver_of_cpr_numbers_is_asked_for_the_law() -> None:
    """The question ends with an answer, and no other service gets it."""
    asked = {each.key: each.topic for each in iter_missing(LibraryAnswers(), (LOANS,), frozenset({"my-loans"}))}
    assert asked["record.receivers.my-loans"] is Topic.USE_OF_CPR
    answers = LibraryAnswers(receivers={"my-loans": WORDS})
    for said, numbered in ((answers, {"my-loans"}), (LibraryAnswers(), {"myprint"})):
        topics = {each.topic for each in iter_missing(said, (LOANS,), frozenset(numbered))}
        assert Topic.USE_OF_CPR not in topics


def test_of_a_whole_configuration_nothing_is_asked() -> None:
    """Any way of reaching the library will do."""
    answers = LibraryAnswers(
        name=WORDS,
        phone="1",
        officer="o",
        privacy_notice=WORDS,
        joint_controllers=WORDS,
        security=WORDS,
        receivers=dict.fromkeys(("my-loans", LIBRARY_SYSTEM, MAIL_SERVER), WORDS),
    )
    assert list(iter_missing(answers, (replace(LOANS, privacy_notice=WORDS),))) == []


def test_controllers_need_an_address() -> None:
    """A half answer leads to a question about the other half."""
    answers = LibraryAnswers(receivers={"my-loans": WORDS})
    service = replace(LOANS, controller=Controller(WORDS))
    keys = [each.key for each in iter_missing(answers, (service,)) if each.service == service]
    assert keys == ["services.my-loans.controller.contact", "services.my-loans.privacy_notice"]
