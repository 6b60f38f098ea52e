"""What changed from one genome to another: the fewest nodes added and removed, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Literal

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.chain import Chain, Node
from uninas_evo.spaces.uninas.genome import HEADERS, Genome
from uninas_evo.spaces.uninas.operations import HEAD_CHAINS
from uninas_evo.spaces.uninas.text import parse_chain


@dataclass(frozen=True, slots=True)
class Edit:
    """One node that only one of two genomes has.

    Attributes:
        change: "added" where only the second genome has it.
        place: of the node in the genome that has it, as in `Genome.graph`: ``2.1.1/3`` is the third node of the
            first chain of block 1 in stage 2.
        operation: its name.
        text: its canonical text, branches included.
        copies: how many attention heads the change is in; 1 outside attention.
    """

    change: Literal["added", "removed"]
    place: str
    operation: str
    text: str
    copies: int = 1

    @property
    def stage(self) -> int:
        """The stage, counted from 1."""
        return int(self.place.split(".")[0])


_Found = tuple[int, tuple[Edit, ...]]
"""How many nodes differ (a group of equal attention heads counts once, as in `Genome.__len__`), and the edits."""


def edits(before: Genome, after: Genome) -> tuple[Edit, ...]:
    """The nodes that tell two genomes of one skeleton apart, in the order of their places.

    A coupled pair that both have is compared branch by branch; one that only one of them has is one edit.

    Raises:
        GenomeError: the skeletons differ.
    """
    if before.skeleton != after.skeleton:
        raise _other_skeleton()
    found: list[Edit] = []
    for index, (a, b) in enumerate(zip(before.chains, after.chains, strict=True)):
        if a.text != b.text:
            stage, place = before.skeleton.blocks[index // 2]
            name = f"{stage + 1}.{place + 1}.{index % 2 + 1}"
            found += _chain_edits(a, b, name, name, 1)[1]
    return tuple(found)


def text_edits(before: str, after: str) -> tuple[Edit, ...]:
    """`edits` of two canonical texts; only the lines that differ are parsed, so that thousands take seconds.

    Raises:
        GenomeError: the skeletons differ, or a text is not canonical.
    """
    first, second = before.splitlines(), after.splitlines()
    if len(first) != len(second) or not first or first[0] not in HEADERS:
        raise _other_skeleton()
    found: list[Edit] = []
    stage = block = channels = 0
    sides, stride = (0, 0), 2
    for a, b in zip(first, second, strict=True):
        words = a.split(maxsplit=4)
        if words[0] == "image":
            sides = int(words[-2]) if len(words) == 4 else int(words[1]), int(words[-1])
        elif words[0] == "stem":
            stride = int(words[3]) if len(words) == 4 else stride
        elif words[0] == "stage":
            stage, block, channels = stage + 1, 0, int(words[1])
        chain = {"1:": 1, "2:": 2}.get(words[0], 0)
        block += chain == 1
        if a != b:
            if not chain:
                raise _other_skeleton()
            height, width = (side // (stride * 2**stage) for side in sides)
            old, new = (_parsed(line[5:], (channels, height, width)) for line in (a, b))
            name = f"{stage}.{block}.{chain}"
            found += _chain_edits(old, new, name, name, 1)[1]
    return tuple(found)


_parsed = lru_cache(2**12)(parse_chain)
"""A child's chain is soon the parent's chain of the next comparison."""


def _other_skeleton() -> GenomeError:
    return GenomeError(
        "two genomes can be compared node by node where they have one skeleton (image size, classes, stem, channels "
        "and depths), and these differ; compare genomes of one search"
    )


def _chain_edits(a: Chain, b: Chain, place_a: str, place_b: str, copies: int) -> _Found:
    """The cheapest alignment of two chains, by dynamic programming between their equal ends."""
    if a.text == b.text:
        return 0, ()
    same, rows, columns = 0, len(a.nodes), len(b.nodes)
    while same < min(rows, columns) and a.nodes[same].text == b.nodes[same].text:
        same += 1
    while same < min(rows, columns) and a.nodes[rows - 1].text == b.nodes[columns - 1].text:
        rows, columns = rows - 1, columns - 1
    gone = {i: _whole("removed", a.nodes[i], f"{place_a}/{i + 1}", copies) for i in range(same, rows)}
    new = {j: _whole("added", b.nodes[j], f"{place_b}/{j + 1}", copies) for j in range(same, columns)}
    if same in (rows, columns):  # most search steps add or remove one node
        return _joined(*gone.values(), *new.values())
    best: list[list[_Found]] = [[(0, ())] * (columns + 1) for _ in range(rows + 1)]
    for i, j in product(range(rows, same - 1, -1), range(columns, same - 1, -1)):
        options: list[_Found] = []
        if i < rows and j < columns and a.nodes[i].operation is b.nodes[j].operation:
            own = _node_edits(a.nodes[i], b.nodes[j], f"{place_a}/{i + 1}", f"{place_b}/{j + 1}", copies)
            options.append(_both(own, best[i + 1][j + 1]))
        if i < rows:
            options.append(_both(gone[i], best[i + 1][j]))
        if j < columns:
            options.append(_both(new[j], best[i][j + 1]))
        if options:
            best[i][j] = min(options, key=_size)
    return best[same][same]


def _node_edits(a: Node, b: Node, place_a: str, place_b: str, copies: int) -> _Found:
    """The differences inside a pair that both chains have."""
    if a.text == b.text:
        return 0, ()
    if a.heads:
        return _head_edits(a, b, place_a, place_b, copies)
    straight = _branch_edits(a.branches, b.branches, place_a, place_b, (0, 1, 2), copies)
    if not a.operation.commutes:
        return straight
    swapped = _branch_edits(a.branches, b.branches[::-1], place_a, place_b, (1, 0), copies)
    return min(straight, swapped, key=_size)  # addition commutes


def crossed(a: Node, b: Node) -> bool:
    """Whether two nodes of one operation are alike branch by branch only where the branches of one are swapped."""
    if a.text == b.text or not a.operation.commutes:
        return False
    straight = _branch_edits(a.branches, b.branches, "", "", (0, 1, 2), 1)
    return _size(_branch_edits(a.branches, b.branches[::-1], "", "", (1, 0), 1)) < _size(straight)


def aligned(a: Chain, b: Chain) -> list[tuple[int, int]]:
    """Positions of the nodes that both chains have, in order, perhaps with other branches: what `edits` leaves."""
    found = _chain_edits(a, b, "", "", 1)[1]
    whole = {(edit.change, int(edit.place[1:])) for edit in found if edit.place.count("/") == 1}
    kept_a = [i for i in range(len(a.nodes)) if ("removed", i + 1) not in whole]
    kept_b = [j for j in range(len(b.nodes)) if ("added", j + 1) not in whole]
    return list(zip(kept_a, kept_b, strict=True))


def _branch_edits(
    a: Sequence[Chain], b: Sequence[Chain], place_a: str, place_b: str, order: Sequence[int], copies: int
) -> _Found:
    return _joined(
        *(
            _chain_edits(old, new, f"{place_a}/{i + 1}", f"{place_b}/{order[i] + 1}", copies)
            for i, (old, new) in enumerate(zip(a, b, strict=True))
        )
    )


def _head_edits(a: Node, b: Node, place_a: str, place_b: str, copies: int) -> _Found:
    """Head by head; heads that are in one group before and in one group after are compared once."""
    found: list[_Found] = []
    for (i, old), (j, new) in product(enumerate(a.heads), enumerate(b.heads)):
        shared = len(set(old) & set(new))
        for label, before, after in zip(HEAD_CHAINS, a.head_group(i), b.head_group(j), strict=True) if shared else ():
            places = f"{place_a}/heads{i + 1}/{label}", f"{place_b}/heads{j + 1}/{label}"
            found.append(_chain_edits(before, after, *places, copies * shared))
    return _joined(*found)


def _whole(change: Literal["added", "removed"], node: Node, place: str, copies: int) -> _Found:
    return node.size, (Edit(change, place, node.operation.name, node.text, copies),)


def _joined(*parts: _Found) -> _Found:
    return sum([cost for cost, _ in parts]), tuple([edit for _, own in parts for edit in own])


def _both(first: _Found, then: _Found) -> _Found:
    """`_joined` of two, which the alignment does most of the time."""
    return first[0] + then[0], first[1] + then[1]


def _size(found: _Found) -> tuple[int, int]:
    return found[0], len(found[1])
