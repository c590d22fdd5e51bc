"""Finds wording that CONTRIBUTING.md rules out: vague subjects, retired words, function names without a verb."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_VERBS: Final = "is|are|was|were|has|have|had|does|do|did|may|must|can|could|will|would|should"
_VAGUE_SUBJECT: Final = re.compile(
    r"(?:Who|Whom|Whose|Whoever|Whomever|Whatever|Whichever)\b"
    r"|What\b(?![^.]*\?)"
    rf"|(?:One|Each|Another|That|None|Both|Neither|Either) (?:{_VERBS})\b"
)
_RETIRED_WORD: Final = re.compile(
    r"\b(?:amiss|anew|lest|save for|put off|held back|trail|mend|mends|mended|mending|telling|is told|are told"
    r"|was told|were told|owed|parted|whoever|whomever|come by|comes by|gets on|the gate|wishes for)\b"
)
_NO_VERB: Final = frozenset(
    [
        "told",
        "asked",
        "seen",
        "held",
        "kept",
        "named",
        "of",
        "by",
        "alone",
        "had",
        "parted",
        "given",
        "taken",
        "made",
        "found",
        "said",
        "done",
        "left",
        "shown",
        "sent",
        "written",
        "gone",
        "known",
        "borne",
        "drawn",
        "lived",
        "heard",
        "met",
        "wanted",
        "whose",
        "beside",
        "with",
        "in",
        "at",
        "without",
        "amiss",
    ]
)
_VERBS_IN_ED: Final = frozenset({"embed", "feed", "seed", "need", "speed", "exceed", "proceed", "succeed"})
_SENTENCE_END: Final = re.compile(r"(?<=[.!?:;])\s+(?=[A-Z])|\n\s*\n|\n(?=\s*[-*|])")
_CODE: Final = re.compile(r"``[^`]*``|`[^`]*`")
_NO_PROSE: Final = re.compile(r"```.*?```|^#.*?$", re.DOTALL | re.MULTILINE)  # blocks of code, and headings
_Definition = ast.FunctionDef | ast.AsyncFunctionDef


def find_in_text(text: str) -> Iterator[str]:
    """Yield the vague subjects and retired words of a docstring, a comment or a document."""
    for part in _SENTENCE_END.split(_CODE.sub("X", _NO_PROSE.sub("", text))):
        sentence = part.strip().lstrip("-*#| ")
        if _VAGUE_SUBJECT.match(sentence):
            yield "vague subject: " + " ".join(sentence.split())[:70]
        for word in _RETIRED_WORD.findall(sentence):
            yield f"retired word: {word}"


def find_in_name(definition: _Definition) -> Iterator[str]:
    """Yield the name of a function that is a participle or begins with a preposition.

    Tests have sentences as names. A property or a fixture may be a noun phrase with a participle.
    """
    name = definition.name.lstrip("_")
    if definition.name.startswith(("test_", "__")):
        return
    word, _, rest = name.partition("_")
    is_participle = word.endswith("ed") and word not in _VERBS_IN_ED
    decorators = " ".join(map(ast.unparse, definition.decorator_list))
    is_noun_phrase = bool(rest) and ("property" in decorators or "fixture" in decorators)
    if word in _NO_VERB or (is_participle and not is_noun_phrase):
        yield f"function name: {definition.name}"


def find_in_module(source: str) -> Iterator[str]:
    """Yield all hits of a Python module, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | _Definition):
            line = getattr(node, "lineno", 1)
            yield from (f"{line}: {hit}" for hit in find_in_text(ast.get_docstring(node) or ""))
        if isinstance(node, _Definition):
            yield from (f"{node.lineno}: {hit}" for hit in find_in_name(node))
    for line, comment in _read_comments(source):
        yield from (f"{line}: {hit}" for hit in find_in_text(comment))


def _read_comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield each run of comment lines as one text, with its first line."""
    first, last, lines = 0, -1, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1:
            yield first, "\n".join(lines)
            first, lines = token.start[0], []
        last = token.start[0]
        lines.append(token.string.lstrip("#!: "))
    yield first, "\n".join(lines)


def find_in_file(path: Path) -> list[str]:
    """Return the hits of a Python module or a Markdown document."""
    text = path.read_text(encoding="utf-8")
    hits = find_in_module(text) if path.suffix == ".py" else find_in_text(text)
    return [f"{path}:{hit}" for hit in hits]
