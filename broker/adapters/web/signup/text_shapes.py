"""What a file of texts must look like: both languages everywhere, nothing endless, and links only to what there is."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from broker.adapters.web.signup import wizard
from broker.adapters.web.signup.phrases import targets, unreadable
from broker.files.shapes import Shape, did_you_mean
from broker.files.strict_yaml import quoted


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
