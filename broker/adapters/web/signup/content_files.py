"""Reads content/: the texts of the sign-up pages and of the questions and answers.

A file of texts has both languages everywhere, nothing endless, and links only to what there is.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from broker.adapters.web.signup import sign_up_questions
from broker.adapters.web.signup.link_markup import targets, unreadable
from broker.core.entities import Text
from broker.core.errors import ConfigurationFaults, Fault
from broker.files.checked_files import Shape, Version, did_you_mean, line, validated
from broker.files.editor_schemas import JsonSchema, schema_of
from broker.files.strict_yaml import YamlNode, quoted, read_file


def _plain(text: str) -> str:
    """Return a text without links; ValueError otherwise."""
    for fault in unreadable(text):
        raise ValueError(fault)
    if any(targets(text)):
        raise ValueError("holds a link, and stands where none can be")
    return text


def _phrase(text: str) -> str:
    """Return a text whose links lead to what there is; ValueError otherwise."""
    for fault in unreadable(text):
        raise ValueError(fault)
    for target in targets(text):
        if not sign_up_questions.known(target):
            mend = did_you_mean(target, sign_up_questions.targets())
            raise ValueError(f"unknown link {quoted(target)} {mend}".rstrip())
    return text


_Short = Annotated[str, Field(min_length=1, max_length=160), AfterValidator(_plain)]
_Middle = Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_plain)]
_Long = Annotated[str, Field(min_length=1, max_length=900), AfterValidator(_phrase)]


class LineShape(Shape):
    """A title or a label."""

    en: _Short
    da: _Short


class HintShape(Shape):
    """A sentence or two beside a choice."""

    en: _Middle
    da: _Middle


class PhraseShape(Shape):
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
# What editors show about the two kinds of files.
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
class Block:
    """A paragraph ("text", one item), a list ("points") or numbered steps ("steps")."""

    kind: Literal["text", "points", "steps"]
    items: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class PageChoice:
    """An answer or something to do: its label, and the sentence beside it."""

    label: Text
    hint: Text | None


@dataclass(frozen=True, slots=True)
class Page:
    """The texts of one page of the tree.

    ``answers`` and ``actions`` are exactly those of its node, in its order.
    """

    title: Text
    lead: Text | None
    blocks: tuple[Block, ...]
    answers: Mapping[str, PageChoice]
    actions: Mapping[str, PageChoice]


@dataclass(frozen=True, slots=True)
class FaqEntry:
    """One question with its answer."""

    question: Text
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Texts:
    """Every page by its node's name, and the questions and answers.

    ``title`` is of the questions and answers, ``entries`` are these by their anchors, in order.
    """

    pages: Mapping[str, Page]
    title: Text
    entries: Mapping[str, FaqEntry]

    @classmethod
    def load(cls, folder: Path | None = None, shipped: Path = SHIPPED) -> "Texts":
        """Read the shipped texts; a file of the same name in ``folder`` is read instead of theirs.

        ConfigurationFaults with every language, page and answer that is missing, every name nobody
        knows, and every text that is too long, with file and line.
        """
        faults: list[Fault] = []
        pages: dict[str, Page] = {}
        title = Text("", "")
        entries: Mapping[str, FaqEntry] = {}
        for name, path in _paths(folder, shipped, faults).items():
            where = _where(path)
            try:
                node = read_file(path, where)
                if name == _FAQ:
                    title, entries = _faq(node, where)
                else:
                    pages[name] = _page(node, where, sign_up_questions.NODES[name])
            except ConfigurationFaults as error:
                faults += error.faults
        if faults:
            raise ConfigurationFaults(faults)
        return cls(pages, title, entries)

    def linked(self) -> frozenset[str]:
        """Return every target that some text links to."""
        linked: set[str] = set()
        for phrase in self.phrases():
            linked.update(targets(phrase.en))
            linked.update(targets(phrase.da))
        return frozenset(linked)

    def phrases(self) -> Iterator[Text]:
        """Return every text that may hold links."""
        for page in self.pages.values():
            if page.lead:
                yield page.lead
        for page in self.pages.values():
            yield from _phrases(page.blocks)
        for entry in self.entries.values():
            yield from _phrases(entry.blocks)


def _paths(folder: Path | None, shipped: Path, faults: list[Fault]) -> Mapping[str, Path]:
    """Return the file of each page.

    A page without a file, and a file without a page, are put to ``faults``.
    """
    found = {path.stem: path for path in shipped.glob("*.yaml")}
    if folder is not None:
        found |= _own_paths(folder, faults)
    for name in sorted(found.keys() - set(_FILES)):
        where = f"{_where(found[name])}:1"
        mend = did_you_mean(name, _FILES) or "the name of a file is the name of its page"
        faults.append(Fault(where, f"unknown page {quoted(name)}", mend))
    for name in _FILES:
        if name not in found:
            where = f"{shipped.name}/{name}.yaml:1"
            faults.append(Fault(where, "is missing", "every page has its file"))
    return {name: found[name] for name in _FILES if name in found}


def _own_paths(folder: Path, faults: list[Fault]) -> Mapping[str, Path]:
    """Return the library's own files by the name of their page.

    Files that would not be read are put to ``faults``.
    """
    if not folder.is_dir():
        faults.append(Fault(str(folder), "is no folder", "name the folder that holds your texts"))
    misnamed = sorted(folder.glob("*.yml"))
    faults += [
        Fault(f"{_where(path)}:1", "is not read", "a file of texts ends in .yaml")
        for path in misnamed
    ]
    visible = (path for path in folder.glob("*.yaml") if path.name[0] != ".")
    return {path.stem: path for path in visible}


def _where(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _faq(node: YamlNode, where: str) -> tuple[Text, Mapping[str, FaqEntry]]:
    faq = validated(FaqShape, node, where)
    _refuse(_differences(node, where, "entries", faq.entries, sign_up_questions.ANCHORS))
    entries = {anchor: _entry(faq.entries[anchor]) for anchor in sign_up_questions.ANCHORS}
    return _text(faq.title), entries


def _page(node: YamlNode, where: str, of: sign_up_questions.WizardNode) -> Page:
    page = validated(PageShape, node, where)
    actions = tuple(action.name for action in of.actions)
    wrong_answers = _differences(node, where, "answers", page.answers, tuple(of.answers))
    wrong_actions = _differences(node, where, "actions", page.actions, actions)
    _refuse(chain(wrong_answers, wrong_actions))
    return Page(
        title=_text(page.title),
        lead=_text(page.lead) if page.lead else None,
        blocks=_blocks(page.blocks),
        answers={name: _choice(page.answers[name]) for name in of.answers},
        actions={name: _choice(page.actions[name]) for name in actions},
    )


def _differences(
    node: YamlNode, where: str, key: str, written: Collection[str], wanted: Collection[str]
) -> Iterator[Fault]:
    """Return a fault for each name that only the page offers, or only the file has."""
    for name in sorted(set(wanted) - set(written)):
        place = f"{where}:{line(node, (key,))}"
        yield Fault(place, f"{key}.{name} is missing", "the page offers it")
    for name in sorted(set(written) - set(wanted)):
        place = f"{where}:{line(node, (key, name))}"
        mend = did_you_mean(name, wanted) or ", ".join(wanted)
        yield Fault(place, f"unknown name {quoted(name)} in {key}", mend)


def _phrases(blocks: tuple[Block, ...]) -> Iterator[Text]:
    for block in blocks:
        yield from block.items


def _refuse(faults: Iterable[Fault]) -> None:
    written = list(faults)
    if written:
        raise ConfigurationFaults(written)


def _entry(entry: EntryShape) -> FaqEntry:
    return FaqEntry(_text(entry.question), _blocks(entry.blocks))


def _blocks(blocks: tuple[BlockShape, ...]) -> tuple[Block, ...]:
    return tuple(_block(block) for block in blocks)


def _block(block: BlockShape) -> Block:
    if block.text is not None:
        return Block("text", (_text(block.text),))
    if block.points:
        return Block("points", _texts(block.points))
    return Block("steps", _texts(block.steps))


def _choice(choice: ChoiceShape) -> PageChoice:
    hint = _text(choice.hint) if choice.hint else None
    return PageChoice(_text(choice.label), hint)


def _texts(phrases: tuple[PhraseShape, ...]) -> tuple[Text, ...]:
    return tuple(_text(phrase) for phrase in phrases)


def _text(pair: LineShape | HintShape | PhraseShape) -> Text:
    return Text(pair.en, pair.da)
