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
    """As SVG by itself, and in a file; so is the genome alone, of every space whose genomes tell it."""
    for name in ("coatnet", "uninet-b0", "darts_v2", "ofa_smallest"):
        assert uninas_evo.load_genome(name)._repr_svg_().startswith("<svg")
    drawing = uninas_evo.draw("coatnet")
    assert drawing._repr_svg_().startswith("<svg")
    assert drawing.save(tmp_path / "net.pdf").read_bytes().startswith(b"%PDF")


def test_names_of_the_top_are_no_rooms() -> None:
    """A package of a name's spelling would take its place as soon as something imports it."""
    top = Path(uninas_evo.__file__).parent
    assert not [name for name in uninas_evo.__all__ if (top / name).exists() or (top / f"{name}.py").exists()]


@pytest.mark.slow
def test_a_kernel_shows_the_search_run_and_its_result() -> None:
    """In a Jupyter kernel a search has a bar that ends full, and its result and genome are drawn."""
    nbclient = pytest.importorskip("nbclient", reason="the extra `notebook` is not installed")
    nbformat = pytest.importorskip("nbformat", reason="the extra `notebook` is not installed")
    cells = [
        "import uninas_evo\n"
        "result = uninas_evo.search({'start': 'coatnet', 'objective': 'params'}, 'random_walk', evaluations=20,\n"
        "    pool={'devices': 'in-process'})\n"
        "result",
        "uninas_evo.draw(result.best.genome)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    first, second = (cell.outputs for cell in notebook.cells)
    shown = [output.data.get("text/html", "") for output in first if "data" in output]
    assert any('<progress value="20" max="20">' in html and "<td>20/20</td>" in html for html in shown)
    assert any("<th>params</th>" in html for html in shown)
    assert second[0].data["image/svg+xml"].startswith("<svg")
