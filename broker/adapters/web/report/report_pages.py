"""The policy report (``broker policy report``) as self-contained HTML files."""

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from broker.adapters.translations.catalogue import make_text, translate
from broker.adapters.web.pages.language import LANGUAGES
from broker.adapters.web.report.report_terms import ReleaseTerms, spell_limit
from broker.core.entities import Service
from broker.core.marked_text import mark as _
from broker.core.report.policy_report import PolicyReport
from broker.core.retention import TABLE

_ROOM: Final = Path(__file__).parents[1]
# Marked once for both uses: the title of a file, and its heading.
TITLE: Final = _("Who gets what, and why")
_NAMELESS: Final = _("The library")


def files(report: PolicyReport, languages: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file: the whole report, and one sheet per service's owner."""
    for language in languages:
        yield _name("report", language), _file(report, language, languages)
        for service in report.services:
            text = _file(report, language, languages, service)
            yield _name(f"service-{service.name}", language), text


def _name(stem: str, language: str) -> str:
    return f"{stem}-{language}.html"


def _file(
    report: PolicyReport, language: str, languages: tuple[str, ...], service: Service | None = None
) -> str:
    stem = f"service-{service.name}" if service else "report"
    other = next((each for each in languages if each != language), None)
    return (
        _environment(language)
        .get_template("report_file.html")
        .render(
            report=report,
            lang=language,
            service=service,
            title=service.label[language] if service else translate(TITLE, language),
            library=report.answers.name or make_text(_NAMELESS),
            other=(_name(stem, other), other, LANGUAGES[other]) if other else None,
            css=_css(),
            terms=ReleaseTerms(language),
            limits=TABLE,
            spell_limit=partial(spell_limit, language=language),
        )
    )


@cache
def _css() -> Markup:
    texts = ((_ROOM / "static" / name).read_text() for name in ("style.css", "report.css"))
    return Markup("".join(texts))  # noqa: S704 - ours


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_ROOM / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )

    def words(message: str) -> str:
        return translate(message, language)

    def count(one: str, many: str, count: int) -> str:
        return translate(one if count == 1 else many, language)

    environment.install_gettext_callables(words, count, newstyle=True)  # type: ignore[attr-defined]
    return environment
