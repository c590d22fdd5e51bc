"""What the record of processing lacks, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.adapters.translations.catalogue import marked as _
from broker.adapters.translations.catalogue import translate
from broker.core.report.missing_answers import Question, Topic

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
    Topic.KEPT: _("How long does %(receiver)s keep what it gets?"),
    Topic.TRANSFERS: _(
        "To which countries outside the EU and the EEA does %(receiver)s take what it gets? An"
        " empty list says: to none."
    ),
    Topic.SAFEGUARDS: _(
        "On which ground does %(receiver)s take what it gets outside the EU and the EEA (GDPR"
        " articles 44 to 49)?"
    ),
    Topic.CPR_LAW: _(
        "By which law may %(receiver)s have CPR numbers (in Denmark section 11 of the Data"
        " Protection Act)?"
    ),
}
_RECEIVERS: Final[Mapping[str, str]] = {
    "record.library_system": _("the library system"),
    "record.mail": _("the mail server"),
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
    for key, words in _RECEIVERS.items():
        if question.key.startswith(f"{key}."):
            receiver = translate(words, language)
    text = translate(_QUESTIONS[question.topic], language)
    return AskedQuestion(text.replace("%(receiver)s", receiver), question.key)
