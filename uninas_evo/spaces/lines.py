"""Reading genome texts that are a header and lines of a key and its words."""

from __future__ import annotations

from collections.abc import Sequence

from uninas_evo.errors import GenomeError

MAX_DIGITS = 7
"""Whole numbers in texts are shorter than this, so that no text asks for a network that no machine holds."""


def read_lines(text: str, header: str, keys: Sequence[str]) -> dict[str, str]:
    """The words behind each key; empty lines and what follows ``#`` are ignored.

    Args:
        text: the whole text.
        header: its first line, such as "darts 1".
        keys: the first words of the lines below, each of which must stand there once.

    Raises:
        GenomeError: the header or a line is missing, given twice, or begins with another word.
    """
    lines = [(number, line.split("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines or lines[0][1] != header:
        got = lines[0][1][:40] if lines else ""
        raise GenomeError(f"a genome's text begins with the line {header!r}, got {got!r}; add that line")
    found: dict[str, str] = {}
    for number, line in lines[1:]:
        key, _, words = line.partition(" ")
        if key not in keys:
            raise GenomeError(f"line {number}: {key[:40]!r} begins no line of a {header!r} genome; use {list(keys)}")
        if key in found:
            raise GenomeError(f"line {number}: {key!r} is given twice; remove one of the two lines")
        found[key] = words.strip()
    if missing := [key for key in keys if key not in found]:
        raise GenomeError(f"a {header!r} genome has the lines {list(keys)}, {missing} are missing; add them")
    return found


def whole(words: str, what: str) -> int:
    """A positive whole number.

    Raises:
        GenomeError: the words are no such number.
    """
    if not (words.isascii() and words.isdigit() and len(words) <= MAX_DIGITS and int(words) > 0):
        raise GenomeError(
            f"{what} is a positive whole number of at most {MAX_DIGITS} digits, got {words[:40]!r}; fix it"
        )
    return int(words)
