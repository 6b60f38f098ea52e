"""Reading cells as papers print them: DARTS' `Genotype(...)` and UNAS' lists of numbers; parsed, never evaluated."""

from __future__ import annotations

import ast
from typing import Any

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.darts.genome import NODES, Cell, Edge, Genome, Skeleton, edge_of

MAX_CHARACTERS = 10_000
"""Longest literal that is parsed; a printed genotype has some hundreds."""
UNAS_OPERATIONS = (
    "skip_connect",
    "sep_conv_3x3",
    "max_pool_3x3",
    "dil_conv_3x3",
    "sep_conv_5x5",
    "avg_pool_3x3",
    "sep_conv_7x7",
)
"""What the numbers of UNAS' genotypes stand for; a search with fewer candidates uses the first so many."""
CONCAT = tuple(NODES)

_FORM = "write Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[2, 3, 4, 5], reduce=[...], reduce_concat=...)"


def parse_literal(text: str, skeleton: Skeleton | None = None) -> Genome:
    """The genome of a printed genotype.

    Args:
        text: ``Genotype(normal=[('op', i), ...], normal_concat=..., reduce=..., reduce_concat=...)``, or UNAS' list
            of eight ``{'inputs': [i, j], 'ops': [a, b]}``, the normal cell's four first.
        skeleton: what the cells stand on; the one for CIFAR by default.

    Raises:
        GenomeError: the text is longer than any genotype, no literal of these forms, or names what does not exist.
    """
    if len(text) > MAX_CHARACTERS:
        raise GenomeError(f"a genotype has at most {MAX_CHARACTERS} characters, got {len(text)}; give one alone")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise GenomeError(f"the genotype cannot be parsed: {error!r:.200}; {_FORM}") from None
    cells = _unas_cells(tree) if isinstance(tree, ast.List) else _genotype_cells(tree)
    return Genome(*cells, skeleton or Skeleton())


def _genotype_cells(tree: ast.expr) -> tuple[Cell, Cell]:
    """The cells of DARTS' named tuple, with keywords or in the order of its fields."""
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "Genotype"):
        raise GenomeError(f"a genotype is a call of Genotype or a list, got {ast.dump(tree)[:80]}; {_FORM}")
    names = ("normal", "normal_concat", "reduce", "reduce_concat")
    given: dict[str | None, ast.expr] = dict(zip(names, tree.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in tree.keywords}
    if set(given) != set(names) or len(tree.args) + len(tree.keywords) != len(names):
        raise GenomeError(f"a Genotype has the four fields {', '.join(names)}, got {list(given)}; {_FORM}")
    for name in ("normal_concat", "reduce_concat"):
        if not _is_concat(given[name]):
            raise GenomeError(f"{name} must be 2, 3, 4, 5, got {ast.dump(given[name])[:80]}; only such cells are known")
    return _cell(_value(given["normal"])), _cell(_value(given["reduce"]))


def _is_concat(tree: ast.expr) -> bool:
    if isinstance(tree, ast.Call):
        is_range = isinstance(tree.func, ast.Name) and tree.func.id == "range" and not tree.keywords
        return is_range and [_value(argument) for argument in tree.args] == [CONCAT[0], CONCAT[-1] + 1]
    found = _value(tree)
    return isinstance(found, list | tuple) and sorted(map(str, found)) == [str(node) for node in CONCAT]


def _value(tree: ast.expr) -> Any:
    """Numbers, texts, lists, tuples and dictionaries; anything else is refused."""
    try:
        return ast.literal_eval(tree)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise GenomeError(f"a genotype holds names and numbers alone, got {ast.dump(tree)[:80]}; {_FORM}") from None


def _cell(edges: Any) -> Cell:
    """Eight pairs of an operation and its input, two for a node."""
    if not isinstance(edges, list | tuple) or len(edges) != 2 * len(NODES):
        raise GenomeError(
            f"a cell has {2 * len(NODES)} pairs of an operation and an input, got {edges!r:.200}; {_FORM}"
        )
    for edge in edges:
        if not (isinstance(edge, list | tuple) and len(edge) == 2 and _is_edge(edge[1], edge[0])):
            raise GenomeError(f"an edge is a pair such as ('sep_conv_3x3', 0), got {edge!r:.80}; {_FORM}")
    pairs = [edge_of(source, operation) for operation, source in edges]
    return Cell(tuple((pairs[2 * index], pairs[2 * index + 1]) for index in range(len(NODES))))


def _is_edge(source: Any, operation: Any) -> bool:
    return isinstance(operation, str) and type(source) is int


def _unas_cells(tree: ast.expr) -> tuple[Cell, Cell]:
    nodes = _value(tree)
    if len(nodes) == 2 and all(isinstance(cell, list) for cell in nodes):
        nodes = [*nodes[0], *nodes[1]]
    if len(nodes) != 2 * len(NODES):
        raise GenomeError(f"UNAS' genotype lists {2 * len(NODES)} nodes, the normal cell's first, got {len(nodes)}")
    pairs = [_unas_node(node) for node in nodes]
    return Cell(tuple(pairs[: len(NODES)])), Cell(tuple(pairs[len(NODES) :]))


def _unas_node(node: Any) -> tuple[Edge, Edge]:
    inputs = _two(node, "inputs", max(NODES))
    operations = _two(node, "ops", len(UNAS_OPERATIONS))
    return Edge(inputs[0], UNAS_OPERATIONS[operations[0]]), Edge(inputs[1], UNAS_OPERATIONS[operations[1]])


def _two(node: Any, key: str, end: int) -> tuple[int, int]:
    found = node.get(key) if isinstance(node, dict) else None
    if (
        not isinstance(found, list | tuple)
        or len(found) != 2
        or not all(type(n) is int and 0 <= n < end for n in found)
    ):
        raise GenomeError(
            f"a node of UNAS' genotype is {{'inputs': [i, j], 'ops': [a, b]}} with {key} in 0..{end - 1}, got "
            f"{node!r:.80}; fix the node"
        )
    return found[0], found[1]
