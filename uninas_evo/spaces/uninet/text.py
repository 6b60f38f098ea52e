"""Reading the text form of genomes; nothing in a text is ever executed.

The lines of `Genome.text` in their order; blank lines and space around a line are skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninet.genome import (
    MODULES,
    OPERATORS,
    TEXT_HEADER,
    Genome,
    Skeleton,
    Stage,
    check_number,
    check_side,
    check_stage,
    check_stride,
)

FORMS: Mapping[str, str] = {
    "image": "image 160",
    "classes": "classes 1000",
    "stem": "stem 32 stride=2",
    "first": "first 24 r=1",
    "heads": "heads 32",
    "window": "window 7",
    "head": "head 1280",
    "stage": "stage L-DSM stride=2 DWConv e=4 c=48 r=2",
}
"""An example of every line below the first, in their order."""
NO_FIRST = ["none"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank.

    Attributes:
        number: counted from 1, blank lines too.
        words: what spaces separate.
    """

    number: int
    words: list[str]

    @property
    def where(self) -> str:
        """Named in errors."""
        return f"line {self.number}"

    @property
    def key(self) -> str:
        """The first word."""
        return self.words[0]

    @property
    def example(self) -> str:
        """How such a line reads."""
        return FORMS[self.key]

    def number_at(self, index: int, prefix: str = "") -> int:
        """The whole number of a word such as ``c=48``, 48 with the prefix ``c=``.

        Raises:
            GenomeError: the word has another prefix, or is no whole number from 1 to six digits.
        """
        word = self.words[index]
        digits = word.removeprefix(prefix)
        name = prefix.rstrip("=") or self.key
        if not word.startswith(prefix):
            raise GenomeError(f"{self.where}: {prefix!r} is expected here, got {short(word)}; write {self.example!r}")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 6):
            check_number(name, digits[:40], self.where)
        check_number(name, int(digits), self.where)
        return int(digits)


def parse_genome(text: str) -> Genome:
    """The genome of a text in the form of `Genome.text`.

    Raises:
        GenomeError: the text is not a genome; the message names the line, the rule, the value and the fix.
    """
    return _read(_ordered(_lines(text)))


def skeleton_line(text: str, skeleton: Skeleton) -> str:
    """The first line of a genome's text that another skeleton would write otherwise, with its number."""
    lines = _lines(text)
    own = Genome(skeleton, (Stage("L", "MLP", 1, 8 * skeleton.heads, 1),) * len(skeleton.strides))
    for line, other in zip(lines, _lines(own.text), strict=False):
        if line.words != other.words and (line.key != "stage" or line.words[2] != other.words[2]):
            wanted = other.words[2] if line.key == "stage" else " ".join(other.words)
            return f"{line.where}: {' '.join(line.words)!r} where the space has {wanted!r}"
    return f"line {lines[-1].number}: {len(lines) - 8} stages where the space has {len(skeleton.strides)}"


def short(word: str) -> str:
    """A word as errors show it."""
    return repr(word[:40])


def _lines(text: str) -> list[Line]:
    return [Line(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _ordered(lines: list[Line]) -> list[Line]:
    """The lines below the first, checked to be all there, each once and in order."""
    if not lines or " ".join(lines[0].words) != TEXT_HEADER:
        where, got = (lines[0].where, " ".join(lines[0].words)) if lines else ("line 1", "")
        raise GenomeError(
            f"{where}: a genome's text begins with {TEXT_HEADER!r}, got {short(got)}; begin with that line"
        )
    _check_keys(lines[1:])
    _check_order(lines[1:], end=lines[-1].number + 1)
    return lines[1:]


def _check_keys(lines: list[Line]) -> None:
    """Every line is known, and stands once unless it is a stage."""
    seen: set[str] = set()
    for line in lines:
        if line.key not in FORMS:
            raise GenomeError(
                f"{line.where}: {short(line.key)} begins no line of a genome; "
                f"use one of {', '.join(FORMS)}{_nearest(line.key, FORMS)}"
            )
        if line.key in seen and line.key != "stage":
            raise GenomeError(
                f"{line.where}: the line {line.key!r} is given twice, it stands once; remove one of the two"
            )
        seen.add(line.key)


def _check_order(lines: list[Line], end: int) -> None:
    """No line is missing, the stages are the last."""
    keys = [line.key for line in lines]
    for place, key in enumerate(FORMS):
        where = f"line {lines[place].number if place < len(lines) else end}"
        if key not in keys:
            needs = "at least one stage, got none" if key == "stage" else f"the line {key!r}, which is missing"
            raise GenomeError(f"{where}: a genome needs {needs}; add one such as {FORMS[key]!r}")
        if keys[place] != key:
            raise GenomeError(
                f"{where}: the lines stand in the order {', '.join(FORMS)}, got {keys[place]!r} where {key!r} "
                "is expected; reorder them"
            )


def _read(lines: list[Line]) -> Genome:
    image, classes, stem, first, heads, window, head, *stages = lines
    for line in lines:
        _check_length(line)
    sizes = {"image_size": image, "classes": classes, "heads": heads, "window": window, "head": head}
    numbers = {name: line.number_at(1) for name, line in sizes.items()}
    parsed = [_stage(line) for line in stages]
    strides = tuple(stride for stride, _ in parsed)
    stem_stride = _stride(stem, 2)
    fixed = None if first.words[1:] == NO_FIRST else (first.number_at(1), first.number_at(2, "r="))
    width = stem.number_at(1)
    check_side(numbers["image_size"], 2 ** [stem_stride, *strides].count(2), image.where)
    for line, (_, stage) in zip(stages, parsed, strict=True):
        check_stage(stage, numbers["heads"], line.where)
    skeleton = Skeleton(stem=width, stem_stride=stem_stride, first=fixed, strides=strides, **numbers)
    return Genome(skeleton, tuple(stage for _, stage in parsed))


def _check_length(line: Line) -> None:
    wanted = 2 if line.key == "first" and line.words[1:2] == NO_FIRST else len(line.example.split())
    if len(line.words) != wanted:
        what = f"nothing follows, got {short(line.words[wanted])}" if len(line.words) > wanted else "a field is missing"
        raise GenomeError(f"{line.where}: a line {line.key!r} reads like {line.example!r}, {what}; write it so")


def _stride(line: Line, index: int) -> int:
    stride = line.number_at(index, "stride=")
    check_stride(stride, line.where)
    return stride


def _stage(line: Line) -> tuple[int, Stage]:
    """The stride and the stage of a line."""
    module, operator = line.words[1].removesuffix("-DSM"), line.words[3]
    known = {f"{name}-DSM": name for name in MODULES}
    if line.words[1] not in known:
        raise GenomeError(
            f"{line.where}: there is no downsampling module {short(line.words[1])}; "
            f"use one of {', '.join(known)}{_nearest(line.words[1], known)}"
        )
    if operator not in OPERATORS:
        raise GenomeError(
            f"{line.where}: there is no operator {short(operator)}; "
            f"use one of {', '.join(OPERATORS)}{_nearest(operator, OPERATORS)}"
        )
    stride = _stride(line, 2)
    e, c, r = (line.number_at(index, prefix) for index, prefix in ((4, "e="), (5, "c="), (6, "r=")))
    return stride, Stage(module, operator, e, c, r)


def _nearest(word: str, words: Mapping[str, str] | tuple[str, ...]) -> str:
    """A clause that names the word most alike; letters in either case."""
    from difflib import get_close_matches

    lower = {known.lower(): known for known in words}
    found = get_close_matches(word[:40].lower(), lower, n=1, cutoff=0.3)
    return f"; did you mean {lower[found[0]]!r}?" if found else ""
