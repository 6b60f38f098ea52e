"""The drawing for slides: every operation by its name, in rows, smaller than the whole drawing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.drawing import draw, titled_parts
from uninas_evo.drawing.layout import everything, layout
from uninas_evo.drawing.sideways import sideways
from uninas_evo.drawing.svg import svg
from uninas_evo.spaces.uninas import Genome, Node, preset

from .test_drawing import check_numbers, walked


def names(genome: Genome) -> Counter[str]:
    """The operations of a genome's nodes; equal heads are drawn once, and are left out here."""

    def of(node: Node) -> Counter[str]:
        inner = () if node.heads else (one for branch in node.branches for one in branch.nodes)
        return sum(map(of, inner), Counter([node.operation.name]))

    return sum((of(node) for chain in genome.chains for node in chain.nodes), Counter())


@pytest.mark.parametrize("seed", range(6))
def test_every_operation_is_there_and_nothing_overlaps(seed: int) -> None:
    """Blocks that are equal are one, so that each name stands there at least once; no box meets another."""
    genome = walked(seed, 60)
    titled = titled_parts(genome, "title", None, "")
    turned = layout([(title, one, sideways(parts)) for title, one, parts in titled])
    check_numbers(turned)
    written = Counter(text.content for box in everything(turned) for text in box.texts)
    assert names(genome).keys() <= written.keys()
    whole = layout(titled)
    assert turned.height < whole.height
    assert turned.width * turned.height < whole.width * whole.height
    assert not any("×" in word and word[0].isdigit() for word in written), "no shapes"


def test_equal_genomes_give_equal_bytes(tmp_path: Path) -> None:
    """In every format, from Python and from the command line."""
    genome = preset("coatnet")
    for kind in ("svg", "png", "html"):
        made = [draw(genome, tmp_path / f"{number}.{kind}", "coatnet", sideways=True) for number in range(2)]
        assert made[0].read_bytes() == made[1].read_bytes()
    done = CliRunner().invoke(app, ["draw", "coatnet", "--sideways", "--out", str(tmp_path / "told.svg")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "told.svg").read_text() == (tmp_path / "0.svg").read_text()
    assert (tmp_path / "0.svg").read_text() != svg(layout(titled_parts(genome, "coatnet", None, "")))


@pytest.mark.parametrize("space", ["uninet-b0", "darts_v2", "mobilenet_v2"])
def test_networks_of_other_spaces(space: str, tmp_path: Path) -> None:
    """They are turned too."""
    done = CliRunner().invoke(app, ["draw", space, "--sideways", "--out", str(tmp_path / "a.svg")])
    assert done.exit_code == 0, done.output


def test_what_differs_is_marked(tmp_path: Path) -> None:
    """As in the whole drawing."""
    pair = draw(walked(1, 0), tmp_path / "a.svg", against=walked(1, 12), sideways=True).read_text()
    assert "marked" in pair
