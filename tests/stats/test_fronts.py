"""Fronts against moocore's and pymoo's sorting, hypervolumes and surfaces against brute force."""

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pymoo.util.nds.fast_non_dominated_sort import fast_non_dominated_sort

from uninas_evo.stats import fronts

NAN = float("nan")
POINTS = hnp.arrays(float, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(0, 5).map(float))


def test_minimized_turns_maximized_columns_only():
    """Less is better afterwards, whatever the goals were; a flat list is one objective."""
    np.testing.assert_array_equal(fronts.minimized([[1, 2]], ["maximize", "minimize"]), [[-1, 2]])
    np.testing.assert_array_equal(fronts.minimized([1, 2], ["maximize"]), [[-1], [-2]])


@given(POINTS)
def test_front_equals_pymoo_without_the_repeated(points):
    """The front is that of pymoo's fast non-dominated sort, and of equal points it holds the first one."""
    front = fronts.front(points)
    everything = np.sort(fast_non_dominated_sort(points)[0])
    first = np.sort(everything[np.unique(points[everything], axis=0, return_index=True)[1]])
    np.testing.assert_array_equal(front, first)


@given(POINTS)
def test_the_best_of_a_front_is_its_knee(points):
    """What is handed back is the front with its knee first; of one objective everything by value."""
    order = fronts.ranked(points)
    if points.shape[1] == 1:
        np.testing.assert_array_equal(order, np.argsort(points[:, 0], kind="stable"))
        return
    front = fronts.front(points)
    np.testing.assert_array_equal(np.sort(order), front)
    assert order[0] == front[fronts.knee(points[front])]


@given(POINTS)
def test_archives_follow_the_front(points):
    """After t evaluations the archive holds the front of the first t points, each point once."""
    for t, kept in enumerate(fronts.archives(points), 1):
        expected = points[fronts.front(points[:t])]
        np.testing.assert_array_equal(np.unique(points[kept], axis=0), np.unique(expected, axis=0))
        assert len(np.unique(points[kept], axis=0)) == len(kept)


def test_failures_are_never_on_a_front():
    """A row with NaN or infinity is left out; all failed gives an empty front."""
    points = np.array([[NAN, 0.0], [1.0, 1.0], [-np.inf, 0.0]])
    assert fronts.front(points).tolist() == [1]
    assert [kept.tolist() for kept in fronts.archives(points)] == [[], [1], [1]]
    assert fronts.front(points[:1]).tolist() == []


def test_archive_of_one_objective_is_the_first_best():
    """With one objective the archive is the incumbent: a tie does not replace it."""
    points = fronts.minimized([1.0, 3.0, 3.0, 2.0, 4.0], ["maximize"])
    assert [kept.tolist() for kept in fronts.archives(points)] == [[0], [1], [1], [1], [4]]


def test_box_reaches_a_tenth_beyond_the_fronts():
    """Every objective's range over the fronts gives its margin; one without range gets a margin of 0.1."""
    box = fronts.Box.around(np.array([[0.0, 5.0], [10.0, 4.0], [NAN, 99.0]]))
    np.testing.assert_allclose(box.ideal, [0.0, 4.0])
    np.testing.assert_allclose(box.reference, [11.0, 5.1])
    flat = fronts.Box.around(np.array([[0.0, 5.0]]), np.array([[10.0, 5.0]]))
    np.testing.assert_allclose(flat.reference, [11.0, 5.1])


@pytest.mark.parametrize("outlier", [10.0, 1e12, 1e18])
def test_an_outlier_does_not_decide_the_hypervolume(outlier):
    """A dominated point, however bad, leaves the box as it is: a front that is worse everywhere stays worse."""
    good = np.array([[0.0, 3.0], [1.0, 2.0], [2.0, 0.0]])
    bad = np.vstack([good + np.array([0.0, 1.0]), [[2.5, outlier]]])
    box = fronts.Box.around(good, bad)
    assert box.hypervolume(good) == pytest.approx(0.48347, abs=1e-5)
    assert box.hypervolume(bad) == pytest.approx(0.25620, abs=1e-5)


def test_hypervolume_of_a_staircase():
    """(1, 2) and (2, 1) cover 3 of the 9 units of a box from 0 to 3; what lies beyond it adds nothing."""
    box = fronts.Box(np.zeros(2), np.full(2, 3.0))
    points = np.array([[1.0, 2.0], [2.0, 1.0], [NAN, 0.0], [4.0, 0.0]])
    assert box.hypervolume(points) == pytest.approx(3 / 9)
    assert box.hypervolume(points[2:3]) == 0.0
    scaled = fronts.Box(box.ideal * [1e6, 1], box.reference * [1e6, 1])
    assert scaled.hypervolume(points * [1e6, 1]) == pytest.approx(3 / 9)


@given(POINTS)
def test_hypervolume_equals_moocore(points):
    """The share is moocore's hypervolume over the box's volume."""
    box = fronts.Box.around(points)
    volume = moocore.hypervolume(points, ref=box.reference)
    expected = volume / np.prod(box.reference - box.ideal)
    np.testing.assert_allclose(box.hypervolume(points), expected, rtol=1e-9)


def test_knee_is_the_bulge():
    """The knee is the point nearest to the corner on scaled axes, whatever the units."""
    front = np.array([[0.0, 1.0], [0.2, 0.2], [0.6, 0.15], [1.0, 0.0]])
    assert fronts.knee(front) == 1
    assert fronts.knee(front * [1e9, 1e-3]) == 1
    assert fronts.knee(front[:1]) == 0


RUNS = st.lists(
    hnp.arrays(float, st.tuples(st.integers(0, 4), st.just(2)), elements=st.integers(0, 4).map(float)),
    min_size=1,
    max_size=7,
)


@given(RUNS, st.sampled_from([5.0, 50.0, 95.0, 100.0]))
def test_attainment_equals_counting_runs(runs, percent):
    """A grid point lies on or beyond the surface exactly where enough runs dominate it."""
    surface = fronts.attainment(runs, percent)
    for point in np.ndindex(5, 5):
        attained = sum(bool((run <= point).all(axis=1).any()) for run in runs)
        assert (surface <= point).all(axis=1).any() == (attained >= percent / 100 * len(runs))


def test_attainment_of_three_objectives():
    """With three objectives the surface of all runs is the worst of both single points."""
    runs = [np.array([[1.0, 2.0, 3.0]]), np.array([[3.0, 2.0, 1.0]])]
    np.testing.assert_array_equal(fronts.attainment(runs, 100), [[3, 2, 3]])
