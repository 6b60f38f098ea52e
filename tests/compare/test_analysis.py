"""From records to a comparison's numbers, tables and page, on runs small enough to work out by hand."""

import csv
import re

import numpy as np
import pytest

from uninas_evo.compare import analysis, page, tables
from uninas_evo.compare.analysis import Cell
from uninas_evo.contracts import Cost, Objective
from uninas_evo.errors import JournalError
from uninas_evo.report.record import RunRecord
from uninas_evo.stats.fronts import Box

NAN = float("nan")
SCORE = Objective("accuracy", "maximize")
SIZE = Objective("params", "minimize")


def cell(values, *, seed=0, fresh=None, objectives=(SCORE,)):
    rows = np.array(values, float).reshape(len(values), len(objectives))
    texts = tuple(f"g{row}" for row in range(len(rows)))
    record = RunRecord(
        run={},
        seed=seed,
        objectives=tuple(objectives),
        numbers=tuple(range(len(rows))),
        genomes=texts,
        costs=tuple(Cost(1, 1) for _ in rows),
        values=rows,
        errors=np.full_like(rows, NAN),
        seconds=np.ones(len(rows)),
    )
    return Cell(record, fresh or {}, asking_s=0.5)


def single(**options):
    cells = {
        "random": [cell([1, 3, 2], seed=0), cell([2, 1, 1], seed=1)],
        "good": [cell([2, 5, 4], seed=0), cell([1, 2, 5], seed=1)],
    }
    return analysis.compare("toy", cells, 3, "random", **options)


def test_quality_is_the_best_so_far():
    """Without noise the curve is the best so far, NaN before the first success, held after an early end."""
    np.testing.assert_array_equal(analysis.quality(cell([NAN, 2, 1]), 4), [NAN, 2, 2, 2])
    np.testing.assert_array_equal(analysis.quality(cell([3, 2, 9]), 2), [3, 3])
    down = cell([3, 2, 9], objectives=[SIZE])
    np.testing.assert_array_equal(analysis.quality(down, 3), [3, 2, 2])


def test_fresh_scores_judge_what_the_noisy_ones_chose():
    """The incumbent is chosen by the run's own score, and its value is the fresh one: luck is not rewarded."""
    lucky = cell([1.0, 9.0, 5.0], fresh={"g0": {"accuracy": 1.5}, "g1": {"accuracy": 0.5}})
    np.testing.assert_array_equal(analysis.quality(lucky, 3), [1.5, 0.5, 0.5])


def test_finalists_are_all_that_were_ever_best():
    """Every incumbent of the curve is a finalist, nothing else is."""
    assert analysis.finalists(cell([1, 3, 2, 3, 4]).record) == [0, 1, 4]
    pair = cell([[1, 5], [2, 9], [2, 5], [0, 1]], objectives=[SCORE, SIZE])
    assert analysis.finalists(pair.record) == [0, 1, 2, 3]


def test_hypervolume_curve_is_a_share_of_one_box():
    """With several objectives the curve is the front's share of the given box."""
    two = cell([[1, 2], [2, 1], [0, 9]], objectives=[SCORE, SIZE])
    curve = analysis.quality(two, 3, Box(np.array([-2.0, 1.0]), np.array([0.0, 3.0])))
    np.testing.assert_array_equal(curve, [1 / 4, 1, 1])


def test_compare_gives_paired_numbers():
    """Finals, ranks, tests and times are those of the runs."""
    comparison = single(optimum=5.0)
    assert comparison.seeds == (0, 1)
    assert [row.name for row in comparison.summaries] == ["good", "random"]
    np.testing.assert_array_equal(comparison.qualities["good"][:, -1], [5, 5])
    pair = comparison.against["good"]
    assert (pair.better, pair.equal, pair.worse, pair.a12) == (2, 0, 0, 1.0)
    np.testing.assert_array_equal(comparison.queries["good"], [2, 3])
    np.testing.assert_array_equal(comparison.queries["random"], [np.inf, np.inf])
    assert comparison.timings["good"] == analysis.Timing(asking_s=0.5, scoring_s=3.0)


def test_compare_refuses_unpaired_seeds():
    """Runs on different seeds cannot be compared pair by pair."""
    cells = {"a": [cell([1], seed=0)], "b": [cell([1], seed=7)]}
    with pytest.raises(JournalError, match=r"'b' on 'toy' have other seeds than those of 'a'.*paired"):
        analysis.compare("toy", cells, 1, "a")


def test_compare_of_nothing_scored_says_so():
    """If all candidates of all runs failed there is no hypervolume to compare."""
    cells = {"a": [cell([[NAN, NAN]], objectives=[SCORE, SIZE])]}
    with pytest.raises(JournalError, match="not one candidate of 'toy' has a score"):
        analysis.compare("toy", cells, 1, "a")


def test_several_objectives_have_surfaces_in_their_own_units():
    """Surfaces and the reference point come back with the signs of the objectives."""
    row = [cell([[1, 2], [2, 3]], objectives=[SCORE, SIZE], seed=s) for s in (0, 1)]
    comparison = analysis.compare("toy", {"a": row}, 2, "a")
    assert comparison.quantity == "hypervolume"
    np.testing.assert_allclose(comparison.reference, [0.9, 3.1])
    np.testing.assert_array_equal(np.sort(comparison.surfaces["a"], axis=0), [[1, 2], [2, 3]])
    assert comparison.optimum is None


def test_final_table_holds_regret_and_queries():
    """Rows are numbers; regret and evaluations to the optimum appear where the optimum is known."""
    good, random = tables.final_table(single(optimum=5.0))
    assert good["strategy"] == "good"
    assert (good["regret"], good["until_optimum"], good["found_optimum"]) == (0, 2, 2)
    assert random["until_optimum"] == float("inf")
    assert (random["p"], random["a12"]) == (None, None)
    assert "regret" not in tables.final_table(single())[0]


def test_tables_for_people_and_files(tmp_path):
    """The same rows become text with few digits, and CSV files that read back."""
    people = tables.for_people(tables.final_table(single(optimum=5.0)))
    assert people[1]["until_optimum"] == "never"
    assert people[0]["seeds"] == "2 / 0 / 0"
    assert people[1]["p_holm"] == "–"
    tables.write_csv(tmp_path / "curve.csv", tables.curve_table(single()))
    with (tmp_path / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert rows[0].keys() == {"strategy", "evaluation", "median", "low", "high"}
    tables.write_csv(tmp_path / "none.csv", [])
    assert not (tmp_path / "none.csv").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (NAN, "–"), (float("inf"), "never"), (94.373333, "94.373"), (1.5e9, "1.500e+09"), (7, "7")],
)
def test_numbers_for_people(value, text):
    """Five digits that count, and words for what is no number."""
    assert tables.number(value) == text


def test_the_page_says_what_so_few_seeds_can_show():
    """Two seeds show nothing at the 5 % level, however clear it looks."""
    assert "With 2 seeds no corrected p can lie below 0.5: they cannot show" in page.legend(single())


def test_page_is_self_contained_and_escaped():
    """Names cannot inject markup; nothing is loaded from elsewhere, its links stay beside it, and no script runs."""
    cells = {"<b>bad</b>": [cell([1], seed=0), cell([2], seed=1)]}
    comparison = analysis.compare("<i>toy</i>", cells, 1, "<b>bad</b>")
    html = page.render("a & b", [comparison, single(optimum=5.0)], "seeds = 2 # </pre><script>")
    assert "<script" not in html
    assert "<i>toy" not in html
    assert "<b>bad" not in html
    assert "a &amp; b" in html
    assert "src=" not in html
    assert not re.search(r'href="[^"]*[:/]', html)
    assert "url(http" not in html
    assert "@import" not in html
    assert "prefers-color-scheme: dark" in html
    assert html.count("<svg") == 2


@pytest.mark.parametrize("dark", [False, True])
def test_page_in_a_browser(browse, dark) -> None:
    """No script error, no request to anywhere, drawings and tables that fit the window, light or dark as asked."""
    told = browse(
        page.render("Comparison", [single(optimum=5.0)], "seeds = 2"),
        """
        told.drawings = document.querySelectorAll('svg').length;
        told.rows = document.querySelectorAll('table tr').length;
        told.background = getComputedStyle(document.body).backgroundColor;
        told.wide = document.documentElement.scrollWidth - window.innerWidth;
        """,
        dark,
    )
    assert told["drawings"] == 1
    assert told["rows"] > 3
    assert told["wide"] <= 0
    red = int(told["background"].split("(")[1].split(",")[0])
    assert (red < 100) == dark


def test_page_shows_surfaces_of_two_objectives():
    """With two objectives the page adds the attainment surfaces and says what the reference point is."""
    row = [cell([[1, 2], [2, 3]], objectives=[SCORE, SIZE], seed=s) for s in (0, 1)]
    html = page.render("t", [analysis.compare("toy", {"a": row}, 2, "a")], "")
    assert html.count("<svg") == 2
    assert "reference point (0.9, 3.1)" in html
