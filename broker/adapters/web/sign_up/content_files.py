"""Reads content/: the texts of the sign-up pages and of the questions and answers.

Every text must have both languages, a limited length, and links to known targets only.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, model_validator

from broker.adapters.web.sign_up import sign_up_questions
from broker.adapters.web.sign_up.link_markup import targets, unreadable
from broker.configuration.checked_files import Shape, Version, did_you_mean, line, validate_node
from broker.configuration.editor_schemas import JsonSchema, schema_of
from broker.configuration.strict_yaml import YamlNode, quote, read_file
from broker.core.errors import ConfigurationFaults, Fault


def _plain(text: str) -> str:
    """Return a text that must have no links; raises ValueError."""
    for fault in unreadable(text):
        raise ValueError(fault)
    if any(targets(text)):
        raise ValueError("holds a link, and stands where none can be")
    return text


def _phrase(text: str) -> str:
    """Return a text whose links must have known targets; raises ValueError."""
    for fault in unreadable(text):
        raise ValueError(fault)
    for target in targets(text):
        if not sign_up_questions.is_link_target(target):
            fix = did_you_mean(target, sign_up_questions.targets())
            raise ValueError(f"unknown link {quote(target)} {fix}".rstrip())
    return text


_Short = Annotated[str, Field(min_length=1, max_length=160), AfterValidator(_plain)]
_Middle = Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_plain)]
_Long = Annotated[str, Field(min_length=1, max_length=900), AfterValidator(_phrase)]


class TextShape(Shape):
    """A text in both languages."""

    en: str
    da: str

    def __getitem__(self, language: str) -> str:
        """Return the text in ``language``; Danish where it is neither "en" nor "da"."""
        return self.en if language == "en" else self.da


class LineShape(TextShape):
    """A title or a label."""

    en: _Short
    da: _Short


class HintShape(TextShape):
    """A sentence or two beside a choice."""

    en: _Middle
    da: _Middle


class PhraseShape(TextShape):
    """A paragraph or an item of a list; it may hold links."""

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


class ChoiceShape(Shape):
    """An answer, or something to do at an end."""

    label: LineShape
    hint: HintShape | None = None


class PageShape(Shape):
    """A file named after a node of the tree."""

    version: Version
    title: LineShape
    lead: PhraseShape | None = None
    blocks: tuple[BlockShape, ...] = ()
    answers: dict[str, ChoiceShape] = Field(default_factory=dict)
    actions: dict[str, ChoiceShape] = Field(default_factory=dict)


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
_PAGE_FILE: Final = "The texts of one sign-up page, whose name is that of the file."
_FAQ_FILE: Final = "The questions and answers of the sign-up pages."
_FAQ: Final = "faq"
_FILES: Final = (*sign_up_questions.NODES, _FAQ)


def page_schema() -> JsonSchema:
    """Return the JSON Schema of a page's texts, as content/page.schema.json holds it."""
    return schema_of(PageShape, _PAGE_FILE)


def faq_schema() -> JsonSchema:
    """Return the JSON Schema of the questions and answers, as content/faq.schema.json holds it."""
    return schema_of(FaqShape, _FAQ_FILE)


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of every page, by the name of its node in the tree, and of the FAQ.

    A page has exactly the answers and actions of its node.
    """

    pages: Mapping[str, PageShape]
    faq: FaqShape

    @classmethod
    def load(cls, folder: Path | None = None) -> "Texts":
        """Read the shipped texts; a file of the same name in ``folder`` replaces the shipped one.

        Raises ConfigurationFaults with file and line of every missing language, page and answer,
        every unknown name, and every text that is too long.
        """
        faults: list[Fault] = []
        files: dict[str, Any] = {}
        for name, path in _find_files(folder, faults).items():
            where = f"{path.parent.name}/{path.name}"
            try:
                node = read_file(path, where)
                files[name] = validate_node(FaqShape if name == _FAQ else PageShape, node, where)
            except ConfigurationFaults as error:
                faults += error.faults
            else:
                faults += _list_differences(name, files[name], node, where)
        if faults:
            raise ConfigurationFaults(faults)
        return cls(files, files.pop(_FAQ))

    def list_link_targets(self) -> frozenset[str]:
        """Return every target that some text or action links to."""
        phrases = [page.lead for page in self.pages.values() if page.lead]
        parts: list[PageShape | EntryShape] = [*self.pages.values(), *self.faq.entries.values()]
        for part in parts:
            for block in part.blocks:
                phrases += block.phrases
        linked = {target for each in phrases for target in targets(each.en + each.da)}
        for node in sign_up_questions.NODES.values():
            linked.update(action.link for action in node.actions if action.link)
        return frozenset(linked)


def _find_files(folder: Path | None, faults: list[Fault]) -> Mapping[str, Path]:
    """Return the file of each page: the library's own in ``folder``, else the shipped one.

    Add a fault to ``faults`` for each file of the folder that would be ignored.
    """
    files = {name: SHIPPED / f"{name}.yaml" for name in _FILES}
    if folder is None:
        return files
    if not folder.is_dir():
        faults.append(Fault(str(folder), "is no folder", "name the folder that holds your texts"))
    for path in sorted(folder.glob("[!.]*.y*ml")):
        where = f"{folder.name}/{path.name}:1"
        if path.suffix != ".yaml":
            faults.append(Fault(where, "is not read", "a file of texts ends in .yaml"))
        elif path.stem in files:
            files[path.stem] = path
        else:
            fix = did_you_mean(path.stem, _FILES) or "the name of a file is the name of its page"
            faults.append(Fault(where, f"unknown page {quote(path.stem)}", fix))
    return files


def _list_differences(
    name: str, texts: PageShape | FaqShape, node: YamlNode, where: str
) -> Iterator[Fault]:
    """Yield a fault for each answer, action or question that is missing or unknown."""
    compared: list[tuple[str, Collection[str], tuple[str, ...]]]
    if isinstance(texts, FaqShape):
        compared = [("entries", texts.entries, sign_up_questions.ANCHORS)]
    else:
        page = sign_up_questions.NODES[name]
        actions = tuple(action.name for action in page.actions)
        compared = [
            ("answers", texts.answers, tuple(page.answers)),
            ("actions", texts.actions, actions),
        ]
    for key, written, wanted in compared:
        for each in sorted(set(written) ^ set(wanted)):
            if each in wanted:
                place = f"{where}:{line(node, (key,))}"
                yield Fault(place, f"{key}.{each} is missing", "the page offers it")
            else:
                place = f"{where}:{line(node, (key, each))}"
                fix = did_you_mean(each, wanted) or ", ".join(wanted)
                yield Fault(place, f"unknown name {quote(each)} in {key}", fix)
