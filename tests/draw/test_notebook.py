"""What notebooks show: drawings, results and figures, short in text and whole as SVG and HTML."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_toy import ToyProblem

import uninas_evo
from uninas_evo.errors import ObjectiveError


def test_a_result_is_short_and_has_a_frame_and_figures() -> None:
    """A repr fits on a line; the frame has a row an evaluation; misspelled names are told."""
    result = uninas_evo.search(
        ToyProblem(), "evolution", evaluations=30, pool={"devices": "in-process"}, after={"rescore": 0}, quiet=True
    )
    assert len(repr(result)) < 160
    assert repr(result.best).startswith("<Evaluation ")
    assert "<th>sum</th>" in result._repr_html_()
    pandas = pytest.importorskip("pandas")
    frame = result.frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["sum"]) == [one.values["sum"] for one in result.evaluations]
    assert [axes.get_ylabel() for axes in uninas_evo.plot(result).axes] == ["sum"]
    assert uninas_evo.plot(result, "params", "sum").axes[0].get_xlabel() == "params"
    with pytest.raises(ObjectiveError, match=r"there is no 'summ'.*did you mean 'sum'"):
        uninas_evo.plot(result, "summ")


def test_a_genome_is_shown(tmp_path: Path) -> None:
    """As SVG by itself, and in a file."""
    drawing = uninas_evo.show("coatnet")
    assert drawing._repr_svg_().startswith("<svg")
    assert drawing.save(tmp_path / "net.pdf").read_bytes().startswith(b"%PDF")
