"""Reads content/: the tree of the sign-up pages with its texts, and the questions and answers.

Every text must have both languages, a limited length, and links to known targets only. Every page
must be reached from the first by one way, so that Back leads to the page before.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from broker.adapters.web.sign_up import sign_up_links
from broker.adapters.web.sign_up.link_markup import find_link_targets, find_text_faults
from broker.configuration.checked_files import Shape, Version, did_you_mean, line, validate_node
from broker.configuration.editor_schemas import JsonSchema, schema_of
from broker.configuration.strict_yaml import YamlNode, quote, read_file
from broker.core.errors import ConfigurationFaults, Fault

_ADDRESS: Final = re.compile("/sign-up(/[a-z0-9-]+)*")


def _plain(text: str) -> str:
    """Return a text. Raises ValueError if it has links or another fault."""
    for fault in find_text_faults(text):
        raise ValueError(fault)
    if any(find_link_targets(text)):
        raise ValueError("holds a link, and stands where none can be")
    return text


def _phrase(text: str, info: ValidationInfo) -> str:
    """Return a text whose links must have known targets. Raises ValueError otherwise."""
    for fault in find_text_faults(text):
        raise ValueError(fault)
    known = sign_up_links.list_targets(info.context or ())
    for target in find_link_targets(text):
        if target not in known and not sign_up_links.is_library_page(target):
            fix = did_you_mean(target, known)
            raise ValueError(f"unknown link {quote(target)} {fix}".rstrip())
    return text


def _address(path: str) -> str:
    """Return the address of a page on this broker. Raises ValueError if it is malformed."""
    if not _ADDRESS.fullmatch(path):
        raise ValueError("must be an address like /sign-up/student/pin")
    return path


def _page(name: str, info: ValidationInfo) -> str:
    """Return the name of a page. Raises ValueError if no file has this name."""
    pages: Collection[str] = info.context or ()
    if name not in pages:
        fix = did_you_mean(name, pages)
        raise ValueError(f"unknown page {quote(name)} {fix}".rstrip())
    return name


_Short = Annotated[str, Field(min_length=1, max_length=160), AfterValidator(_plain)]
_Middle = Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_plain)]
_Long = Annotated[str, Field(min_length=1, max_length=900), AfterValidator(_phrase)]
_Address = Annotated[str, AfterValidator(_address)]
# The two ways to log in: the university's, and the national eID. Their names are the library's own.
Way = Literal["university", "national_eid"]
_EXPLAINED: Final[Mapping[Way | None, str]] = {"university": "wayf", "national_eid": "eid"}


class TextShape(Shape):
    """A text in both languages."""

    en: str
    da: str

    def __getitem__(self, language: str) -> str:
        """Return the text in ``language``; the Danish one if that is neither "en" nor "da"."""
        return self.en if language == "en" else self.da


class LineShape(TextShape):
    """A title or a label."""

    en: _Short
    da: _Short


class HintShape(TextShape):
    """A short explanation of a choice."""

    en: _Middle
    da: _Middle


class PhraseShape(TextShape):
    """A paragraph or an item of a list; it may have links."""

    en: _Long
    da: _Long


class BlockShape(Shape):
    """A paragraph, a list, or numbered steps."""

    text: PhraseShape | None = None
    points: tuple[PhraseShape, ...] = ()
    steps: tuple[PhraseShape, ...] = ()

    @model_validator(mode="after")
    def _one(self) -> "BlockShape":
        written = (self.text is not None, bool(self.points), bool(self.steps))
        if sum(written) != 1:
            raise ValueError("must hold one of text, points and steps")
        return self

    @property
    def phrases(self) -> tuple[PhraseShape, ...]:
        """Return the paragraph or the items."""
        return (self.text,) if self.text else self.points or self.steps


class AnswerShape(Shape):
    """An answer to the question of a page, and the page that it leads to."""

    label: LineShape
    hint: HintShape | None = None
    leads_to: Annotated[str, AfterValidator(_page)]


class ActionShape(Shape):
    """A button at an end: a sign-up, the page for PINs, or one of the library's own pages."""

    label: LineShape
    hint: HintShape | None = None
    leads_to: Annotated[str, Field(pattern="^[a-z_]+$")]
    way: Way | None = None
    affiliation: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> "ActionShape":
        if self.leads_to == "sign_up" and not (self.way and self.affiliation):
            raise ValueError("a sign-up needs way and affiliation")
        return self

    @property
    def link(self) -> str | None:
        """Return the link name of the library's page that the button leads to, or None."""
        return None if self.leads_to in ("sign_up", "pin") else self.leads_to

    @property
    def about(self) -> str | None:
        """Return the anchor of the answer that explains this way to log in, or None."""
        return _EXPLAINED.get(self.way)


class PageShape(Shape):
    """A page of the tree: a question whose answers lead on, or an end with something to do."""

    version: Version
    address: _Address
    title: LineShape
    lead: PhraseShape | None = None
    blocks: tuple[BlockShape, ...] = ()
    answers: dict[str, AnswerShape] = Field(default_factory=dict)
    actions: dict[str, ActionShape] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> "PageShape":
        if self.answers and self.actions:
            raise ValueError("a page has answers, or actions as an end; it cannot have both")
        return self

    def find_next(self, answers: Sequence[str]) -> str | None:
        """Return the page that ``answers`` lead to; None for none, several or an unknown one.

        ``answers`` are the values that a form sent: an empty one before the chosen one, so that
        "nothing chosen" arrives at all.
        """
        chosen = [value for value in answers if value]
        if len(chosen) != 1 or chosen[0] not in self.answers:
            return None
        return self.answers[chosen[0]].leads_to


class EntryShape(Shape):
    """One question with its answer."""

    question: LineShape
    blocks: tuple[BlockShape, ...] = Field(min_length=1)


class FaqShape(Shape):
    """The file faq.yaml."""

    version: Version
    title: LineShape
    entries: dict[str, EntryShape]


SHIPPED: Final = Path(__file__).parent / "content"
# Descriptions of the two kinds of files, for editors with JSON schema support.
_PAGE_FILE: Final = "A sign-up page, whose name is that of the file, with its texts."
_FAQ_FILE: Final = "The questions and answers of the sign-up pages."
_FAQ: Final = "faq"


def page_schema() -> JsonSchema:
    """Return the JSON Schema of a page, as content/page.schema.json holds it."""
    return schema_of(PageShape, _PAGE_FILE)


def faq_schema() -> JsonSchema:
    """Return the JSON Schema of the questions and answers, as content/faq.schema.json holds it."""
    return schema_of(FaqShape, _FAQ_FILE)


@dataclass(frozen=True, slots=True)
class Texts:
    """The sign-up pages by name, the page that Back leads to from each, and the FAQ."""

    pages: Mapping[str, PageShape]
    back: Mapping[str, str]
    faq: FaqShape

    @classmethod
    def load(cls, folder: Path | None = None) -> "Texts":
        """Read the shipped pages and those in ``folder``, which replace pages of the same name.

        Raises ConfigurationFaults with file and line of every missing language, page and answer,
        every unknown name, and every text that is too long.
        """
        faults: list[Fault] = []
        files = _find_files(folder, faults)
        names = [name for name in files if name != _FAQ]
        pages: dict[str, PageShape] = {}
        faq: FaqShape | None = None
        for name, path in files.items():
            where = f"{path.parent.name}/{path.name}"
            try:
                node = read_file(path, where)
                if name == _FAQ:
                    faq = validate_node(FaqShape, node, where, names)
                    faults += _list_differences(faq, node, where)
                else:
                    pages[name] = validate_node(PageShape, node, where, names)
            except ConfigurationFaults as error:
                faults += error.faults
        if faults or faq is None:
            raise ConfigurationFaults(faults)
        back = _find_ways_back(pages)
        faults += _check_tree(pages, back, files)
        if faults:
            raise ConfigurationFaults(faults)
        return cls(pages, back, faq)

    def list_link_targets(self) -> frozenset[str]:
        """Return every target that some text or action links to."""
        phrases = [page.lead for page in self.pages.values() if page.lead]
        parts: list[PageShape | EntryShape] = [*self.pages.values(), *self.faq.entries.values()]
        for part in parts:
            for block in part.blocks:
                phrases += block.phrases
        linked = {target for each in phrases for target in find_link_targets(each.en + each.da)}
        for page in self.pages.values():
            linked.update(action.link for action in page.actions.values() if action.link)
        return frozenset(linked)


def _find_files(folder: Path | None, faults: list[Fault]) -> Mapping[str, Path]:
    """Return the file of each page: the library's own in ``folder``, else the shipped one.

    Add a fault to ``faults`` for each file of the folder that would be ignored.
    """
    files = {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}
    if folder is None:
        return files
    if not folder.is_dir():
        faults.append(Fault(str(folder), "is no folder", "name the folder that holds your texts"))
    for path in sorted(folder.glob("[!.]*.y*ml")):
        if path.suffix == ".yaml":
            files[path.stem] = path
        else:
            where = f"{folder.name}/{path.name}:1"
            faults.append(Fault(where, "is not read", "a file of texts ends in .yaml"))
    return files


def _list_differences(faq: FaqShape, node: YamlNode, where: str) -> Iterator[Fault]:
    """Yield a fault for each question that is missing or unknown: pages and texts link to them."""
    for each in sorted(set(faq.entries) ^ set(sign_up_links.ANCHORS)):
        if each in faq.entries:
            place = f"{where}:{line(node, ('entries', each))}"
            fix = did_you_mean(each, sign_up_links.ANCHORS) or ", ".join(sign_up_links.ANCHORS)
            yield Fault(place, f"unknown name {quote(each)} in entries", fix)
        else:
            place = f"{where}:{line(node, ('entries',))}"
            yield Fault(place, f"entries.{each} is missing", "pages link to it")


def _find_ways_back(pages: Mapping[str, PageShape]) -> Mapping[str, str]:
    """Return for each page the one whose answer leads to it; the first one if there are several."""
    back: dict[str, str] = {}
    waiting = [sign_up_links.START]
    for name in waiting:
        for answer in pages[name].answers.values():
            if answer.leads_to not in waiting:
                back[answer.leads_to] = name
                waiting.append(answer.leads_to)
    return back


def _check_tree(
    pages: Mapping[str, PageShape], back: Mapping[str, str], files: Mapping[str, Path]
) -> Iterator[Fault]:
    """Yield a fault for each page of the library's own that no answer leads to.

    Two pages with one address are a fault as well.
    """
    taken = {sign_up_links.BEGIN: "the login", sign_up_links.FAQ: "the questions and answers"}
    # The shipped pages first: it is the library's own page that takes a shipped address.
    for name in sorted(pages, key=lambda name: files[name].parent != SHIPPED):
        page = pages[name]
        where = f"{files[name].parent.name}/{files[name].name}:1"
        if page.address in taken:
            what = f"address {page.address} is that of {taken[page.address]}"
            yield Fault(where, what, "give each page its own address")
        taken[page.address] = name
        own = files[name].parent != SHIPPED
        if own and name != sign_up_links.START and name not in back:
            fix = did_you_mean(name, (*back, sign_up_links.START)) or "write leads_to in an answer"
            yield Fault(where, f"no answer leads to the page {quote(name)}", fix)
    if pages[sign_up_links.START].address != sign_up_links.SIGN_UP:
        yield Fault(f"{sign_up_links.START}.yaml:1", "address must be /sign-up", "correct it")
