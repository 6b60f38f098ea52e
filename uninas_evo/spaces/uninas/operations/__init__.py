"""The operations and coupled pairs of the UniNAS space (Tybl & Neumann, arXiv 2510.06035, Table I).

All costs are closed formulas of the input shape (C, H, W). FLOPs count every multiplication and addition of one
image; parameters are counted with their biases. A new operation is written in the file of its kind, or one of its
own, and gets a line in the table below; everything else follows from its `Operation`.
"""

from __future__ import annotations

from uninas_evo.spaces.uninas.operations import activations, attention, convolutions, norms, shapes
from uninas_evo.spaces.uninas.operations.attention import HEAD_CHAINS, HEAD_WIDTH, product_cost, projection_cost
from uninas_evo.spaces.uninas.operations.operation import Operation, Shape

__all__ = [
    "ADDABLE",
    "HEAD_CHAINS",
    "HEAD_WIDTH",
    "OPERATIONS",
    "Operation",
    "Shape",
    "product_cost",
    "projection_cost",
]

_TABLE = (
    activations.SOFTMAX,
    activations.SIGMOID,
    activations.GELU,
    activations.DROPOUT,
    shapes.MAXPOOL,
    shapes.MASK,
    norms.BATCHNORM,
    norms.LAYERNORM,
    convolutions.CONV1,
    convolutions.CONV3,
    convolutions.DW3,
    convolutions.DW5,
    attention.RELPOSBIAS,
    shapes.ZERO,
    shapes.CHUNK2,
    shapes.CHUNK3,
    shapes.COPY_ADD,
    shapes.COPY_MULTIPLY,
    convolutions.CONV_EXP4,
    convolutions.CONV_RED4,
    shapes.GLOBAL_AVG,
    attention.ATTENTION,
)
# The order is part of a run: the search step draws places in it. New operations go to the end.

OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _TABLE}
"""Every operation by its name, in the order of the documentation's table."""
ADDABLE: tuple[str, ...] = tuple(name for name, operation in OPERATIONS.items() if operation.addable)
"""The names that the search step may add."""
