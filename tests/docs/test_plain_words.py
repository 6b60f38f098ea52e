"""Documentation in plain English: no sentence is so long that it must be read twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
MOST = 40
"""Words of a sentence."""
ITEM = re.compile(r"^\s*(?:[-*]|\d+\.) ")
END = re.compile(r"(?<=[.!?])[)\"]?\s+(?=[A-Z`*\[(])")


def sentences(text: str) -> Iterator[str]:
    """Sentences of paragraphs and lists; code, tables, headings and pictures are none."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    for block in re.split(r"\n\s*\n", text):
        part = ""
        for line in [*(one for one in block.split("\n") if not one.lstrip().startswith(("|", "#", "!", "<"))), "- "]:
            if ITEM.match(line):
                yield from END.split(part.strip())
                part = ""
            part += f" {ITEM.sub('', line)}"


def words(sentence: str) -> int:
    """How many words it has; a link counts as its text."""
    return sum(bool(re.search(r"\w", word)) for word in re.sub(r"\]\([^)]*\)", "]", sentence).split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_is_endless(page: Path) -> None:
    """Every sentence has fewer than forty words."""
    assert [one for one in sentences(page.read_text(encoding="utf-8")) if words(one) >= MOST] == []


def test_sentences_are_counted() -> None:
    """A long sentence in a paragraph or a list is seen; code is not."""
    long = " ".join(["Word", *["word"] * (MOST - 1)]) + "."
    assert max(words(one) for one in sentences(f"Short one. {long}\n\n- item\n- {long}\n")) == MOST
    assert max(words(one) for one in sentences(f"```\n{long}\n```\n\nShort.")) == 1
