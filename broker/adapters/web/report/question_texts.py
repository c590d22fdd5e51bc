"""What the record of processing lacks, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.adapters.translations.catalogue import marked as _
from broker.adapters.translations.catalogue import translate
from broker.core.report.missing_answers import LIBRARY_SYSTEM, MAIL_SERVER, Question, Topic

_QUESTIONS: Final[Mapping[Topic, str]] = {
    Topic.NAME: _("Who is the controller? The library's name is not written."),
    Topic.REACHED: _("How is the controller reached: mail address, telephone number or page?"),
    Topic.OFFICER: _("How is the data protection officer reached?"),
    Topic.NOTICE: _("Where does the library say how it handles personal information?"),
    Topic.JOINT: _("Who is responsible together with the library, if anybody is?"),
    Topic.SECURITY: _(
        "Which other measures protect the information: who has access to the machine, backups,"
        " agreements with those who run it?"
    ),
    Topic.RECEIVER: _("Who is responsible for what %(receiver)s gets?"),
    Topic.RECEIVER_REACHED: _("How is whoever is responsible for %(receiver)s reached?"),
    Topic.SERVICE_NOTICE: _("Where does %(receiver)s say how it handles personal information?"),
    Topic.USE: _(
        "How long does %(receiver)s keep what it gets? To which countries outside the EU and the"
        " EEA does it take it, and on which ground (GDPR articles 44 to 49)?"
    ),
    Topic.USE_OF_CPR: _(
        "How long does %(receiver)s keep what it gets? To which countries outside the EU and the"
        " EEA does it take it, and on which ground (GDPR articles 44 to 49)? By which law may it"
        " have CPR numbers (in Denmark section 11 of the Data Protection Act)?"
    ),
}
_RECEIVERS: Final[Mapping[str, str]] = {
    f"record.receivers.{LIBRARY_SYSTEM}": _("the library system"),
    f"record.receivers.{MAIL_SERVER}": _("the mail server"),
}


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question in words, and the key of broker.toml to answer in."""

    text: str
    key: str


def in_words(question: Question, language: str) -> AskedQuestion:
    """Return a question in one language."""
    receiver = ""
    if question.service is not None:
        receiver = question.service.label[language]
    elif question.key in _RECEIVERS:
        receiver = translate(_RECEIVERS[question.key], language)
    text = translate(_QUESTIONS[question.topic], language)
    return AskedQuestion(text.replace("%(receiver)s", receiver), question.key)
