"""Table I: the formulas of every operation, written out once more by hand for one shape."""

from __future__ import annotations

import pytest

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas.chain import menu, node
from uninas_evo.spaces.uninas.operations import ADDABLE, OPERATIONS

# (params, FLOPs) on C = 96, H = W = 4.
EXPECTED = {
    "softmax": (0, 96 * 4 * 11),
    "sigmoid": (0, 3 * 1536),
    "gelu": (0, 3 * 1536),
    "dropout": (0, 1536),
    "maxpool": (0, 9 * 1536),
    "mask": (0, 1536),
    "batchnorm": (192, 2 * 1536),
    "layernorm": (192, 2 * 1536),
    "conv1": (96 * 97, 2 * 96 * 1536),
    "conv3": (96 * 865, 18 * 96 * 1536),
    "dw3": (864, 18 * 1536),
    "dw5": (2400, 50 * 1536),
    "relposbias": (9, 1536),
    "zero": (0, 0),
    "chunk2": (0, 0),
    "chunk3": (0, 0),
    "copy_add": (0, 1536),
    "copy_multiply": (0, 4 * 1536),
    "conv_exp4": (96 * 773, 16 * 96 * 1536),
    "conv_red4": (24 * 197, 96 * 1536),
    "global_avg": (0, 1536),
    "attention": (3 * 96 * 97, 6 * 96 * 1536 + 3 * 128 * 256),
}


def test_the_formulas_are_those_of_the_table() -> None:
    """Parameters and FLOPs of every operation on one shape."""
    made = {name: (n.params, n.flops) for name in OPERATIONS for n in [node(name, (96, 4, 4))]}
    assert made == EXPECTED


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("chunk2", (3, 4, 4)),
        ("chunk3", (4, 4, 4)),
        ("conv_red4", (6, 4, 4)),
        ("attention", (48, 4, 4)),
        ("relposbias", (1, 8, 8)),
        ("relposbias", (1, 4, 9)),
    ],
)
def test_a_rule_is_kept(name: str, shape: tuple[int, int, int]) -> None:
    """An operation that does not admit a shape is not on its menu, and making it is an error with the rule."""
    assert name not in [n.operation.name for n in menu(shape)]
    with pytest.raises(GenomeError, match=rf"{name} cannot stand on the shape .* it needs "):
        node(name, shape)


def test_everything_but_zero_may_be_added_where_its_rule_admits() -> None:
    """The menu of a shape that all rules admit holds all operations but zero."""
    assert tuple(n.operation.name for n in menu((96, 4, 4))) == ADDABLE
    assert set(OPERATIONS) - set(ADDABLE) == {"zero"}


def test_branches_of_wrong_shape_are_refused() -> None:
    """A coupled pair checks the number and the shapes of its branches."""
    from uninas_evo.spaces.uninas.chain import empty

    with pytest.raises(GenomeError, match="takes 2 branches"):
        node("copy_add", (4, 2, 2), [empty((4, 2, 2))])
