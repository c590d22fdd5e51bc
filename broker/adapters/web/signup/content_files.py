"""Reads content/: what the sign-up pages and the questions and answers say, in both languages.

What a file of texts must look like: both languages everywhere, nothing endless, and links only to what there is.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from broker.adapters.web.signup import wizard
from broker.adapters.web.signup.link_markup import targets, unreadable
from broker.core.entities import Text
from broker.core.errors import ConfigurationFaults, Fault
from broker.files.checked_yaml import Shape, did_you_mean, line, validated
from broker.files.strict_yaml import YamlNode, quoted, read_file


def _plain(text: str) -> str:
    for each in unreadable(text):
        raise ValueError(each)
    if any(targets(text)):
        raise ValueError("holds a link, and stands where none can be")
    return text


def _phrase(text: str) -> str:
    for each in unreadable(text):
        raise ValueError(each)
    for target in targets(text):
        if not wizard.known(target):
            raise ValueError(
                f"unknown link {quoted(target)} {did_you_mean(target, wizard.targets())}".rstrip()
            )
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
        if sum((self.text is not None, bool(self.points), bool(self.steps))) != 1:
            raise ValueError("must hold one of text, points and steps")
        return self


class ChoiceShape(Shape):
    """An answer, or something to do at an end."""

    label: LineShape
    hint: HintShape | None = None


class PageShape(Shape):
    """A file named after a node of the tree."""

    version: Literal["1"]
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

    version: Literal["1"]
    title: LineShape
    entries: dict[str, EntryShape]


SHIPPED: Final = Path(__file__).parent / "content"
_FAQ: Final = "faq"
_FILES: Final = (*wizard.NODES, _FAQ)


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
    """What one page of the tree says; ``answers`` and ``actions`` are exactly those of its node, in its order."""

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
    """Every page by its node's name; the title of the questions and answers, and these by their anchors, in order."""

    pages: Mapping[str, Page]
    title: Text
    entries: Mapping[str, FaqEntry]

    @classmethod
    def load(cls, folder: Path | None = None, shipped: Path = SHIPPED) -> "Texts":
        """Read the shipped texts, and instead of a file of theirs the one of the same name in ``folder``.

        ConfigurationFaults with every language, page and answer that is missing, every name nobody
        knows, and every text that is too long, with file and line.
        """
        faults: list[Fault] = []
        pages: dict[str, Page] = {}
        title = Text("", "")
        entries: Mapping[str, FaqEntry] = {}
        for name, path in _paths(folder, shipped, faults).items():
            where = f"{path.parent.name}/{path.name}"
            try:
                node = read_file(path, where)
                if name == _FAQ:
                    title, entries = _faq(node, where)
                else:
                    pages[name] = _page(node, where, wizard.NODES[name])
            except ConfigurationFaults as found:
                faults += found.faults
        if faults:
            raise ConfigurationFaults(faults)
        return cls(pages, title, entries)

    def linked(self) -> frozenset[str]:
        """Give every target that some text links to."""
        return frozenset(
            target
            for each in self.phrases()
            for text in (each.en, each.da)
            for target in targets(text)
        )

    def phrases(self) -> Iterator[Text]:
        """Give every text that may hold links."""
        yield from (page.lead for page in self.pages.values() if page.lead)
        holders: tuple[Page | FaqEntry, ...] = (*self.pages.values(), *self.entries.values())
        for each in holders:
            for block in each.blocks:
                yield from block.items


def _paths(folder: Path | None, shipped: Path, faults: list[Fault]) -> Mapping[str, Path]:
    """Find the file of each page; a page without one, and a file without a page, are put to ``faults``."""
    found = {path.stem: path for path in shipped.glob("*.yaml")}
    if folder is not None:
        if not folder.is_dir():
            faults.append(
                Fault(str(folder), "is no folder", "name the folder that holds your texts")
            )
        found |= {path.stem: path for path in folder.glob("*.yaml") if path.name[0] != "."}
        misnamed = (f"{folder.name}/{path.name}:1" for path in sorted(folder.glob("*.yml")))
        faults += [
            Fault(where, "is not read", "a file of texts ends in .yaml") for where in misnamed
        ]
    for name in sorted(found.keys() - set(_FILES)):
        where = f"{found[name].parent.name}/{found[name].name}:1"
        mend = did_you_mean(name, _FILES) or "the name of a file is the name of its page"
        faults.append(Fault(where, f"unknown page {quoted(name)}", mend))
    missing = [name for name in _FILES if name not in found]
    faults += [
        Fault(f"{shipped.name}/{name}.yaml:1", "is missing", "every page has its file")
        for name in missing
    ]
    return {name: found[name] for name in _FILES if name in found}


def _faq(node: YamlNode, where: str) -> tuple[Text, Mapping[str, FaqEntry]]:
    faq = validated(FaqShape, node, where)
    _refuse(_differences(node, where, "entries", faq.entries, wizard.ANCHORS))
    written = {anchor: faq.entries[anchor] for anchor in wizard.ANCHORS}
    return _text(faq.title), {
        name: FaqEntry(_text(each.question), _blocks(each.blocks)) for name, each in written.items()
    }


def _page(node: YamlNode, where: str, of: wizard.WizardNode) -> Page:
    page = validated(PageShape, node, where)
    actions = tuple(each.name for each in of.actions)
    answers = _differences(node, where, "answers", page.answers, tuple(of.answers))
    _refuse(chain(answers, _differences(node, where, "actions", page.actions, actions)))
    return Page(
        title=_text(page.title),
        lead=_text(page.lead) if page.lead else None,
        blocks=_blocks(page.blocks),
        answers={each: _choice(page.answers[each]) for each in of.answers},
        actions={each: _choice(page.actions[each]) for each in actions},
    )


def _differences(
    node: YamlNode, where: str, key: str, written: Collection[str], wanted: Collection[str]
) -> Iterator[Fault]:
    for name in sorted(set(wanted) - set(written)):
        yield Fault(
            f"{where}:{line(node, (key,))}", f"{key}.{name} is missing", "the page offers it"
        )
    for name in sorted(set(written) - set(wanted)):
        place = f"{where}:{line(node, (key, name))}"
        yield Fault(
            place,
            f"unknown name {quoted(name)} in {key}",
            did_you_mean(name, wanted) or ", ".join(wanted),
        )


def _refuse(faults: Iterable[Fault]) -> None:
    found = list(faults)
    if found:
        raise ConfigurationFaults(found)


def _blocks(blocks: tuple[BlockShape, ...]) -> tuple[Block, ...]:
    return tuple(_block(each) for each in blocks)


def _block(block: BlockShape) -> Block:
    if block.text is not None:
        return Block("text", (_text(block.text),))
    if block.points:
        return Block("points", tuple(_text(each) for each in block.points))
    return Block("steps", tuple(_text(each) for each in block.steps))


def _choice(choice: ChoiceShape) -> PageChoice:
    return PageChoice(_text(choice.label), _text(choice.hint) if choice.hint else None)


def _text(pair: LineShape | HintShape | PhraseShape) -> Text:
    return Text(pair.en, pair.da)
