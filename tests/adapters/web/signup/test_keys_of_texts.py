"""The examples that editors show for the keys of sign-up texts are valid in shipped files."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from broker.adapters.web.signup.content_files import SHIPPED, Texts
from broker.files.checked_files import plain
from broker.files.editor_schemas import descriptions
from broker.files.strict_yaml import read, read_file

# Where a shipped page or the questions have each shape; an empty path is the whole file.
SHAPES: Final[dict[str, tuple[str, str, tuple[str | int, ...]]]] = {
    "page": ("PageShape", "student.pin", ()),
    "block": ("BlockShape", "student.pin", ("blocks",)),
    "answer, action": ("ChoiceShape", "start", ("answers", "student")),
    "text": ("LineShape", "start", ("title",)),
    "faq.yaml": ("FaqShape", "faq", ()),
    "question": ("EntryShape", "faq", ("entries", "wayf")),
}
ELSEWHERE: Final[dict[str, tuple[str, tuple[str | int, ...]]]] = {
    "answers": ("start", ()),
    "answers: NAME": ("start", ("answers",)),
    "actions: NAME": ("student.pin", ("actions",)),
    "entries: NAME": ("faq", ("entries",)),
}


@pytest.mark.parametrize("where", SHAPES)
def test_the_example_of_every_key_is_taken(tmp_path: Path, where: str) -> None:
    """Put into a shipped file in the place of what is there."""
    shape, usual, place = SHAPES[where]
    for key, text in descriptions()[shape].items():
        name, at = ELSEWHERE.get(key, (usual, place))
        whole = plain(read_file(SHIPPED / f"{name}.yaml", name))
        part: Any = whole
        for step in at:
            part = part[step]
        example = plain(read(text.example.encode(), text.example))
        if isinstance(part, list):
            part.append(example)
        else:
            for written, value in example.items():
                part[written] = {**part[written], **value} if key in {"answers", "actions", "entries"} else value
        (tmp_path / f"{name}.yaml").write_text(json.dumps(whole))
        Texts.load(tmp_path)
