"""Plots: their data exactly, their figures by what is on them."""

import subprocess
import sys

import numpy as np
import pytest

from uninas_evo.contracts import Objective
from uninas_evo.pages.palette import INK
from uninas_evo.report import pareto_plots, plots, runplots
from uninas_evo.stats import tests as statistics

NAN = float("nan")
SIZE = Objective("params", "minimize", is_cost=True)
SCORE = Objective("vkdnw", "maximize")
FLOPS = Objective("flops", "minimize", is_cost=True)
POINTS = np.array([[4e6, 3.0, 9e8], [1e6, 1.0, 1e8], [2e6, 2.9, 2e8], [3e6, 2.0, 8e8], [NAN, 9.0, NAN]])
IDS = ["big", "small", "middle", "beaten", "failed"]


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def legend_names(figure):
    (legend,) = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    return [text.get_text() for text in legend.get_texts()]


@pytest.fixture
def data():
    return pareto_plots.pareto_data([SIZE, SCORE], POINTS[:, :2], IDS, {"ResNet": (3.5e6, 1.5)})


def test_pareto_data_is_the_front_in_order_with_its_knee(data):
    """Failures are dropped, the front runs along the first axis, the knee is the bulge."""
    assert [data.ids[index] for index in data.front] == ["small", "middle", "big"]
    assert data.ids[data.knee] == "middle"
    assert "failed" not in data.ids
    assert data.points.shape == (4, 2)


def test_costs_lie_along_the_bottom():
    """Whatever the order of the objectives, costs come first, with their points and marks."""
    turned = pareto_plots.pareto_data([SCORE, SIZE], POINTS[:, [1, 0]], IDS, {"ResNet": (1.5, 3.5e6)})
    assert [objective.name for objective in turned.objectives] == ["params", "vkdnw"]
    assert turned.points[0].tolist() == [4e6, 3.0]
    assert turned.marks == {"ResNet": [3.5e6, 1.5]}


def test_pareto_data_of_nothing_has_no_knee():
    """A run in which all failed still gives data and a figure."""
    data = pareto_plots.pareto_data([SIZE, SCORE], POINTS[4:, :2], IDS[4:])
    assert data.knee is None
    assert len(data.front) == 0
    assert pareto_plots.pareto_figure(data).axes


def test_two_dimensional_figure_names_axes_points_and_marks(data):
    """Axes carry units, the front's members their genome ids, presets stand in the legend."""
    figure = pareto_plots.pareto_figure(data, "title")
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("params", "vkdnw")
    assert sorted(texts(figure)) == ["big", "middle", "small"]
    assert legend_names(figure) == ["dominated", "front", "knee", "ResNet"]
    assert texts(pareto_plots.pareto_figure(data, labels=False)) == []
    figure.draw_without_rendering()
    assert "M" in axes.get_xticklabels()[1].get_text()


def test_three_objectives_are_drawn_in_pairs():
    """Three panels, each of two named axes: depth cannot be read."""
    rng = np.random.default_rng(0)
    data = pareto_plots.pareto_data([SIZE, SCORE, FLOPS], rng.random((30, 3)), [str(i) for i in range(30)])
    figure = pareto_plots.pareto_figure(data)
    names = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    assert names == [("params", "flops"), ("params", "vkdnw"), ("flops", "vkdnw")]


def test_crowded_labels_are_left_out_but_the_knee_stays():
    """Of many members close together only labels that do not overlap are drawn, the knee's always."""
    share = np.linspace(0, 1, 300)
    points = np.column_stack([1e6 * (1 + share), 1 - (1 - share) ** 2])
    data = pareto_plots.pareto_data([SIZE, SCORE], points, [f"id{i:03d}" for i in range(300)])
    shown = texts(pareto_plots.pareto_figure(data))
    assert data.ids[data.knee] in shown
    assert 3 <= len(shown) < 60


@pytest.mark.parametrize(("goal", "corner"), [("minimize", (2.0, 1.0)), ("maximize", (1.0, 2.0))])
def test_staircase_bounds_what_is_dominated(goal, corner):
    """Between two members the boundary turns at the corner that one of them still dominates."""
    other = "maximize" if goal == "minimize" else "minimize"
    edge = np.array([[1.0, 1.0], [2.0, 2.0]])
    objectives = [Objective("a", goal), Objective("b", other)]
    steps = pareto_plots._staircase(edge, objectives)
    np.testing.assert_array_equal(steps, [[1, 1], corner, [2, 2]])


def test_curves_are_named_best_first_and_zoomed():
    """The legend follows the final medians; the axis leaves out the first evaluations' depths."""
    poor = statistics.anytime(np.array([[0.0] + [50.0] * 99]))
    good = statistics.anytime(np.array([[0.0] + [60.0] * 99]))
    figure = plots.curves_figure(
        {"poor": poor, "good": good}, Objective("accuracy", "maximize", unit="%"), optimum=70.0
    )
    assert legend_names(figure) == ["optimum", "good", "poor"]
    (axes,) = figure.axes
    assert axes.get_ylabel() == "accuracy (%)"
    low, high = axes.get_ylim()
    assert 45 < low < 50
    assert 70 < high < 75
    lower = plots.curves_figure({"poor": poor, "good": good}, "loss", goal="minimize")
    assert legend_names(lower) == ["poor", "good"]


def test_progress_shows_every_evaluation_and_the_best_so_far():
    """The line of a single run is its best so far."""
    figure = plots.progress_figure(np.array([1.0, NAN, 3.0, 2.0]), SCORE)
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [1, 1, 3, 3])
    assert legend_names(figure) == ["evaluated", "best so far"]


def test_the_best_so_far_stands_in_the_band_of_its_own_error():
    """The band follows the best, not the evaluation; errors that nobody measured draw none."""
    values, errors = np.array([1.0, NAN, 3.0, 2.0]), np.array([0.1, NAN, 0.5, 9.0])
    (axes,) = plots.progress_figure(values, SCORE, errors=errors).axes
    band = axes.collections[-1].get_paths()[0].vertices
    at = {x: (band[band[:, 0] == x, 1].min(), band[band[:, 0] == x, 1].max()) for x in (1, 4)}
    assert at == {1: (0.9, 1.1), 4: (2.5, 3.5)}
    assert legend_names(axes.figure) == ["evaluated", "best so far", "± standard error"]
    lower = plots.progress_figure(values, SIZE, errors=np.full(4, NAN))
    assert legend_names(lower) == ["evaluated", "best so far"]


def test_attainment_figure_draws_a_surface_a_strategy():
    """One line a strategy."""
    surfaces = {"a": np.array([[1.0, 1.0], [2.0, 2.0]]), "b": np.array([[1.0, 0.5]])}
    figure = pareto_plots.attainment_figure(surfaces, [SIZE, SCORE])
    assert legend_names(figure) == ["a", "b"]


def test_saved_files_are_equal_each_time(data, tmp_path):
    """PNG and SVG of the same figure have the same bytes: a result in git changes only with its numbers."""
    first = plots.save(pareto_plots.pareto_figure(data), tmp_path / "first")
    second = plots.save(pareto_plots.pareto_figure(data), tmp_path / "second")
    assert [path.suffix for path in first] == [".png", ".svg"]
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert len(a.read_bytes()) > 5000


def test_inline_svg_follows_the_page(data):
    """Ink becomes the page's text color, the size follows the page, no metadata remains."""
    markup = plots.inline_svg(pareto_plots.pareto_figure(data))
    assert markup.startswith("<svg ")
    assert "currentColor" in markup
    assert INK not in markup
    assert "<metadata>" not in markup
    assert 'width="' not in markup[: markup.index(">")]


def test_pyplot_is_never_imported():
    """Drawing leaves matplotlib's global state alone."""
    code = (
        "import sys, numpy; from uninas_evo.contracts import Objective; from uninas_evo.report import plots;"
        "plots.inline_svg(plots.progress_figure(numpy.ones(3), Objective('a', 'maximize')));"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_some_curves_keep_their_colors():
    """A figure of some strategies has no others, and each as it looks among all."""
    curve = statistics.Curve(*np.array([[1.0, 2.0]] * 3))
    every = dict.fromkeys(("a", "b", "c"), curve)
    colors = [
        {line.get_label(): line.get_color() for line in figure.axes[0].get_lines() if line.get_label() in every}
        for figure in (plots.curves_figure(every, SCORE), plots.curves_figure(every, SCORE, only=["c"]))
    ]
    assert colors[1] == {"c": colors[0]["c"]}


def test_sizes_on_a_logarithmic_axis_are_told_apart():
    """Labels at one, two and five of each power of ten, none between them."""
    sizes = np.array([2e3, 6e3, 7e4])
    figure = runplots.size_figure({"params": sizes}, np.arange(3.0), SCORE, {})
    figure.canvas.draw()
    axis = figure.axes[0].xaxis
    assert {"5 k", "10 k", "20 k"} < {label.get_text() for label in axis.get_majorticklabels()}
    assert not any(label.get_text() for label in axis.get_minorticklabels())
