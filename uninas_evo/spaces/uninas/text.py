"""Reading the text form of chains and genomes; nothing in a text is ever executed.

A chain is written as its nodes from first to last, an empty one as ``-``. The branches of a coupled pair stand in
parentheses, separated by commas, and are left out when all are empty. The chains of an attention are labeled; groups
of heads that differ are separated by ``|`` and headed by the places of their heads::

    conv_exp4(batchnorm gelu dw5) copy_multiply(-, global_avg(conv1))
    attention(scores: relposbias softmax) conv1
    attention(heads 0-2: scores: softmax | heads 3: q: gelu, scores: softmax)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.chain import EMPTY, Chain, Node, attention_node, chain, empty, find_operation, node
from uninas_evo.spaces.uninas.genome import HEADERS, TEXT_HEADER, TEXT_HEADER_2, Genome
from uninas_evo.spaces.uninas.operations import HEAD_CHAINS, HEAD_WIDTH, Operation, Shape
from uninas_evo.spaces.uninas.skeleton import Skeleton

MAX_DEPTH = 200
"""Nesting that a text may have: deeper ones would exhaust Python's stack, and no search comes near it."""

_TOKEN = re.compile(r"\s*([A-Za-z0-9_-]+|[(),:|])")
_PLACES = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")
_CHAIN_LINE = re.compile(r"([12]):\s*(.*)")
_bare = lru_cache(2**12)(node)
"""Operations without branches: the same few on the same few shapes, thousands of times."""
_known: dict[tuple[str, Shape, int], Node] = {}
"""Pairs that were read: a child's chain holds most of those of its parent's. The depth counts, since it has a bound."""
MOST_KNOWN = 2**12
MOST_CHARACTERS = 1000
"""Of a pair that is kept; looking for longer ones would cost more than reading them."""


def parse_chain(text: str, shape: Shape, where: str = "chain") -> Chain:
    """The chain that a text describes.

    Args:
        text: one line.
        shape: (C, H, W) on which the chain stands.
        where: named in errors, such as "line 7".

    Raises:
        GenomeError: the text is not a chain on this shape; the message says where and why.
    """
    parser = _Parser(text, where)
    parsed = parser.chain(shape, 0)
    if parser.peek():
        raise parser.error(f"unexpected {parser.peek()!r} after the chain's end; remove it or open a parenthesis")
    return parsed


class _Parser:
    """Recursive descent over the tokens of one line."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.text = text.rstrip()
        self.next = 0
        found = [(match[1], match.start(1)) for match in _TOKEN.finditer(self.text)]
        self.tokens = [token for token, _ in found] + [""]
        self.starts = [start for _, start in found] + [len(self.text)]
        self.closing: dict[int, int] = {}
        """The place of each opening parenthesis -> that of the one which closes it."""
        if sum(map(len, self.tokens)) < len("".join(self.text.split())):
            self.check_characters()
        opened: list[int] = []
        for place, token in enumerate(self.tokens):
            if token == "(":
                opened.append(place)
            elif token == ")" and opened:
                self.closing[opened.pop()] = place

    def check_characters(self) -> None:
        """Raises at the first character between two tokens."""
        end = 0
        for token, start in zip(self.tokens, self.starts, strict=True):
            if start > end and not self.text[end:start].isspace():
                first = start - len(self.text[end:start].lstrip())
                self.next, self.starts = 0, [first]
                raise self.error(f"{self.text[first]!r} cannot stand in a chain; use operation names, ( ) , : | and -")
            end = start + len(token)

    def peek(self) -> str:
        return self.tokens[self.next]

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if expected and token != expected:
            raise self.error(f"expected {expected!r}, got {token or 'the end of the line'!r}; add the {expected!r}")
        self.next += 1
        return token

    def error(self, message: str) -> GenomeError:
        return GenomeError(f"{self.where}, column {self.starts[self.next] + 1}: {message}")

    def chain(self, shape: Shape, depth: int) -> Chain:
        if depth > MAX_DEPTH:
            raise self.error(f"pairs are nested deeper than {MAX_DEPTH}; flatten the chain")
        if self.peek() == EMPTY:
            self.take()
            return empty(shape)
        nodes: list[Node] = []
        while (token := self.tokens[self.next]) and token not in "),|":
            nodes.append(self.node(shape, depth))
        if not nodes:
            raise self.error(f"a chain is missing; write {EMPTY!r} for an empty one")
        return chain(shape, nodes)

    def node(self, shape: Shape, depth: int) -> Node:
        try:
            operation = find_operation(self.tokens[self.next])
            bare = _bare(operation.name, shape)
        except GenomeError as error:
            raise self.error(str(error)) from None
        begin = self.starts[self.next]
        self.next += 1
        if self.tokens[self.next] != "(":
            return bare
        end = self.closing.get(self.next, len(self.tokens) - 1)
        key = self.text[begin : min(self.starts[end] + 1, begin + MOST_CHARACTERS + 1)], shape, depth
        known = _known.get(key)
        if known is not None:
            self.next = end + 1
            return known
        if operation.branches is None:
            raise self.error(f"{operation.name} is no coupled pair and takes no branches; remove the parentheses")
        self.take("(")
        if operation.name == "attention":
            made = self.attention(shape, operation.branches(shape), depth + 1)
        else:
            made = self.pair(operation, shape, operation.branches(shape), depth + 1)
        self.take(")")
        if len(key[0]) <= MOST_CHARACTERS:
            if len(_known) >= MOST_KNOWN:
                _known.clear()
            _known[key] = made
        return made

    def pair(self, operation: Operation, shape: Shape, shapes: Sequence[Shape], depth: int) -> Node:
        branches = []
        for index, branch_shape in enumerate(shapes):
            if index:
                self.take(",")
            branches.append(self.chain(branch_shape, depth))
        return node(operation.name, shape, branches)

    def attention(self, shape: Shape, shapes: Sequence[Shape], depth: int) -> Node:
        count = shape[0] // HEAD_WIDTH
        heads: list[tuple[int, ...]] = []
        branches: list[Chain] = []
        while True:
            heads.append(self.places() if self.peek() == "heads" else tuple(range(count)))
            branches += self.head_chains(shapes, depth)
            if self.peek() != "|":
                break
            self.take("|")
        if sorted(place for group in heads for place in group) != list(range(count)):
            raise self.error(
                f"the groups of heads must hold each of the places 0 to {count - 1} once, "
                f"got {[list(group) for group in heads]}; fix the places after 'heads'"
            )
        return attention_node(shape, heads, branches)

    def places(self) -> tuple[int, ...]:
        self.take("heads")
        places: list[int] = []
        while match := _PLACES.fullmatch(self.peek()):
            first = int(match[1])
            last = int(match[2] or first)
            if last - first > 10_000:
                raise self.error(f"{match[0]!r} names more heads than a network can have; fix the places")
            places += range(first, last + 1)
            self.take()
        if not places:
            raise self.error(f"'heads' is followed by places such as 0-2 5, got {self.peek()!r}; add them")
        if self.peek() == ":":
            self.take()
        return tuple(places)

    def head_chains(self, shapes: Sequence[Shape], depth: int) -> list[Chain]:
        chains = {label: empty(shape) for label, shape in zip(HEAD_CHAINS, shapes, strict=True)}
        given: set[str] = set()
        while self.peek() and self.peek() not in ")|":
            if given:
                self.take(",")
            label = self.peek()
            if label not in chains or label in given:
                rule = "is given twice" if label in given else f"is not one of {', '.join(HEAD_CHAINS)}"
                raise self.error(f"the chain label {label!r} {rule}; name each chain of a head at most once")
            given.add(self.take())
            self.take(":")
            chains[label] = self.chain(chains[label].shape, depth)
        return list(chains.values())


def parse_genome(text: str) -> Genome:
    """The genome of a text in the form of `Genome.text`; empty lines and what follows ``#`` are ignored.

    Raises:
        GenomeError: the text is not a genome; the message names the line.
    """
    lines = [(number, line.split("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines or lines[0][1] not in HEADERS:
        got = lines[0][1][:40] if lines else ""
        raise GenomeError(
            f"a genome's text begins with the line {TEXT_HEADER!r} or {TEXT_HEADER_2!r}, got {got!r}; add that line"
        )
    counts = _COUNTS[lines[0][1]]
    fields: dict[str, tuple[int, ...]] = {}
    channels: list[int] = []
    chain_lines: list[list[tuple[int, str, str]]] = []
    for number, line in lines[1:]:
        if match := _CHAIN_LINE.fullmatch(line):
            if not chain_lines:
                raise GenomeError(f"line {number}: a chain stands before the first 'stage' line; move it below one")
            chain_lines[-1].append((number, match[1], match[2]))
        else:
            key, values = _field(number, line, counts)
            if key == "stage":
                channels += values
                chain_lines.append([])
            elif key in fields:
                raise GenomeError(f"line {number}: {key!r} is given twice; remove one of the two lines")
            else:
                fields[key] = values
    for key in ("image", "classes", "stem"):
        if key not in fields:
            example = " ".join([key, "32", "64", "3"][: 1 + counts[key]])
            raise GenomeError(f"the genome's text has no line {key!r}; add one such as {example!r}")
    return _assemble(fields, channels, chain_lines)


_COUNTS = {
    TEXT_HEADER: {"image": 1, "classes": 1, "stem": 2, "stage": 1},
    TEXT_HEADER_2: {"image": 3, "classes": 1, "stem": 3, "stage": 1},
}
"""How many numbers each line of the skeleton has, by version."""


def _field(number: int, line: str, counts: Mapping[str, int]) -> tuple[str, tuple[int, ...]]:
    key, *words = line.split()
    if key not in counts:
        raise GenomeError(
            f"line {number}: {key[:40]!r} begins no line of a genome; use one of "
            f"{', '.join(counts)}, or '1:' and '2:' for the chains of a block"
        )
    if len(words) != counts[key] or not all(w.isascii() and w.isdigit() and len(w) < 10 for w in words):
        raise GenomeError(
            f"line {number}: {key!r} takes {counts[key]} whole number(s), got {' '.join(words)[:80]!r}; fix it"
        )
    return key, tuple(int(w) for w in words)


def _assemble(
    fields: dict[str, tuple[int, ...]], channels: list[int], chain_lines: list[list[tuple[int, str, str]]]
) -> Genome:
    for stage, rows in enumerate(chain_lines, 1):
        labels = [label for _, label, _ in rows]
        if not rows or labels != ["1", "2"] * (len(rows) // 2):
            raise GenomeError(
                f"stage {stage} needs the lines '1:' and '2:' in turn, two for each of its blocks, "
                f"got {' '.join(labels) or 'none'}; add or reorder its lines"
            )
    image, stem = fields["image"], fields["stem"]
    skeleton = Skeleton(
        (image[-2], image[-1]) if len(image) == 3 else image[0],
        fields["classes"][0],
        (stem[0], stem[1]),
        tuple(channels),
        tuple(len(rows) // 2 for rows in chain_lines),
        *((image[0], stem[2]) if len(image) == 3 else ()),
    )
    return Genome.of(
        skeleton,
        [
            parse_chain(text, skeleton.stage_shape(stage), f"line {number}")
            for stage, rows in enumerate(chain_lines)
            for number, _, text in rows
        ],
    )
