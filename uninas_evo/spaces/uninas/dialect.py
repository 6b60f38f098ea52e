"""Dialects: the operations that a device or an exporter runs well, and what a network becomes in one.

Presets lose squeeze-and-excitation and costly activations there as EfficientNet-Lite does (Liu, "Higher accuracy on
vision models with EfficientNet-Lite", TensorFlow blog, 2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uninas_evo.errors import GenomeError, SpaceError
from uninas_evo.mistakes import nearest
from uninas_evo.spaces.uninas.chain import Chain, Node, attention_node, chain, walk_nodes
from uninas_evo.spaces.uninas.chain import node as make_node
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.operations import ADDABLE
from uninas_evo.spaces.uninas.text import parse_chain

READY: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("ort_mobile", "int8"),
    tuple(name for name in ADDABLE if name not in ("gelu", "layernorm", "mask", "global_avg")),
)
"""Ready dialects: what ONNX Runtime 1.32 hands to both NNAPI and Core ML, and what it computes in 8-bit integers.

The lists agree: Gelu, LayerNormalization, Trilu and the sums of a global average are on neither.
"""
STAND_INS: Mapping[str, str] = {
    "gelu": "copy_multiply(-, sigmoid)",
    "softmax": "sigmoid",
    "layernorm": "batchnorm",
    "batchnorm": "layernorm",
    "dw5": "dw3",
    "dw3": "dw5",
    "conv3": "dw3 conv1",
    "conv1": "conv3",
}
"""What an operation gives its place to, as text: the nearest that computes much the same."""


def dialect(operations: str | Sequence[str] | None = None, without: Sequence[str] = ()) -> tuple[str, ...]:
    """The operations of a dialect, in the order of `ADDABLE`; `zero` computes nothing and is in all.

    Args:
        operations: the name of a ready list (see `READY`), or operations; all by default.
        without: is left out.

    Raises:
        SpaceError: there is no such list or operation, or nothing is left.
    """
    if isinstance(operations, str):
        if operations not in READY:
            raise SpaceError(
                f"operations are a list, or the ready list {' or '.join(READY)}, got {operations!r}"
                f"{nearest(operations, READY)}"
            )
        operations = READY[operations]
    wanted = ADDABLE if operations is None else operations
    for name in (*wanted, *without):
        if name not in ADDABLE:
            raise SpaceError(f"there is no operation {name!r}: there are {', '.join(ADDABLE)}{nearest(name, ADDABLE)}")
    found = tuple(name for name in ADDABLE if name in wanted and name not in without)
    if not found:
        raise SpaceError("a dialect needs an operation, and all are left out; leave out fewer")
    return found


def foreign(genome: Genome, operations: Sequence[str]) -> list[str]:
    """The operations of a genome that a dialect lacks, in the order of `ADDABLE`."""
    met = {node.operation.name for one in genome.chains for node, _ in walk_nodes(one)}
    return [name for name in ADDABLE if name in met and name not in operations]


def adapted(genome: Genome, operations: Sequence[str]) -> Genome:
    """A genome in a dialect.

    An operation that the dialect lacks gives its place to its stand-in, or drops out where it is neither a convolution
    nor a pair. A gate (`copy_multiply` with an empty branch) drops out with what computes its factors.

    Raises:
        GenomeError: an operation can do neither.
    """
    if not foreign(genome, operations):
        return genome
    return Genome.of(genome.skeleton, [chain(one.shape, _nodes(one, operations)) for one in genome.chains])


def _nodes(one: Chain, operations: Sequence[str]) -> list[Node]:
    return [new for node in one.nodes for new in _adapted(node, operations)]


def _adapted(node: Node, operations: Sequence[str]) -> Sequence[Node]:
    name, stand_in = node.operation.name, STAND_INS.get(node.operation.name)
    if name in operations or name not in ADDABLE:
        try:
            branches = [chain(branch.shape, _nodes(branch, operations)) for branch in node.branches]
        except GenomeError:
            if name == "copy_multiply" and not all(branch.nodes for branch in node.branches):
                return ()
            raise
        if not branches:
            return (node,)
        whole = (
            attention_node(node.shape, node.heads, branches) if node.heads else make_node(name, node.shape, branches)
        )
        return (whole,)
    if stand_in is not None:
        replacement = parse_chain(stand_in, node.shape)
        if all(inner.operation.name in operations for inner, _ in walk_nodes(replacement)):
            return replacement.nodes
    if node.branches or node.operation.kind == "convolution":
        raise GenomeError(
            f"the network has {name}, which this dialect lacks together with what could stand in for it; the dialect "
            f"is {', '.join(operations)}: allow {stand_in or name}, or start elsewhere"
        )
    return ()
