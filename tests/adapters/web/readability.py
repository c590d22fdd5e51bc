"""How hard a text is to read: LIX for Danish, the automated readability index for English."""

import re


def lix(text: str) -> float:
    """Return the words per sentence and the percentage of words above six letters, added up (Björnsson 1968)."""
    words, sentences = _divide(text)
    long_words = sum(len(word) > 6 for word in words)
    return len(words) / sentences + 100 * long_words / len(words)


def english_grade(text: str) -> float:
    """Return the school grade of a text by the automated readability index (Senter and Smith 1967)."""
    words, sentences = _divide(text)
    letters = sum(map(len, words))
    return 4.71 * letters / len(words) + 0.5 * len(words) / sentences - 21.43


def _divide(text: str) -> tuple[list[str], int]:
    words = re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", text)
    return words, max(1, len(re.findall(r"[.!?:](?:\s|$)", text)))
