"""Fronts: which points are best when objectives conflict, how good a front is, and its knee.

Everything here works on points that are minimized, (T, O): see `minimized`. With one objective a front is the
single best point, so the same functions follow a best-so-far value. A failed evaluation is a row with NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uninas_evo.contracts import Goal

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def minimized(values: npt.ArrayLike, goals: Sequence[Goal]) -> FloatArray:
    """Values (T, O) with the sign of every maximized objective turned, so that less is better."""
    signs = np.array([-1.0 if goal == "maximize" else 1.0 for goal in goals])
    points: FloatArray = np.asarray(values, float).reshape(-1, len(goals)) * signs
    return points


def front(points: FloatArray) -> IntArray:
    """The indices of the non-dominated points of (T, O), ascending; of equal points only the first is kept."""
    from moocore import is_nondominated

    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    return finite[is_nondominated(points[finite])] if len(finite) else finite


def ranked(points: FloatArray) -> IntArray:
    """The indices of what a search hands back, the best first; of equals the first one comes first.

    With one objective these are all points by their value; with several they are the front, the knee first, then by
    how near to the ideal point's corner they lie, as the knee is told.
    """
    kept = front(points) if points.shape[1] > 1 else np.flatnonzero(np.isfinite(points[:, 0]))
    nearness = _nearness(points[kept]) if points.shape[1] > 1 else points[kept, 0]
    return kept[np.argsort(nearness, kind="stable")]


def archives(points: FloatArray) -> Iterator[IntArray]:
    """The front after each of T evaluations, as indices; among equal points only the first is kept.

    Args:
        points: (T, O), in the order of the evaluations.
    """
    kept = np.empty(0, np.int64)
    for index, point in enumerate(points):
        beaten = (points[kept] <= point).all(axis=1).any()
        if np.isfinite(point).all() and not beaten:
            dominated = (point <= points[kept]).all(axis=1)
            kept = np.append(kept[~dominated], index)
        yield kept


@dataclass(frozen=True, slots=True)
class Box:
    """What a hypervolume is a share of: the box from the ideal point (O,) to the reference point (O,)."""

    ideal: FloatArray
    reference: FloatArray

    @classmethod
    def around(cls, *runs: FloatArray) -> Box:
        """The box of the fronts of one run's points (T, O), or of several runs that are compared.

        The reference point lies a tenth of each objective's range beyond the fronts' worst values, so that the extreme
        points of a front count (Ishibuchi et al. 2018, "How to specify a reference point in hypervolume
        calculation"). Dominated points do not stretch the box: one outlier among them, such as a time that was
        measured while the machine was busy, would make all fronts look alike.

        Args:
            runs: the points of each run, one of them at least a success.
        """
        members = np.vstack([points[front(points)] for points in runs])
        span = np.ptp(members, axis=0)
        return cls(members.min(axis=0), members.max(axis=0) + 0.1 * np.where(span > 0, span, 1.0))

    def hypervolume(self, points: FloatArray) -> float:
        """The share of the box that points (T, O) dominate, 0 to 1: pymoo's indicator on scaled axes."""
        from pymoo.indicators.hv import HV

        inside = points[np.isfinite(points).all(axis=1)]
        scaled = (inside - self.ideal) / (self.reference - self.ideal)
        return float(HV(ref_point=np.ones(len(self.ideal)))(scaled)) if len(inside) else 0.0


def unit_scaled(points: FloatArray) -> FloatArray:
    """Points (T, O) with each objective's range mapped to [0, 1]; an objective without range becomes 0."""
    span = np.ptp(points, axis=0)
    scaled: FloatArray = (points - points.min(axis=0)) / np.where(span > 0, span, 1.0)
    return scaled


def knee(points: FloatArray) -> int:
    """The index of a front's knee: the point farthest below the plane through the unit-scaled extremes.

    On scaled axes that plane is "the coordinates add up to 1", so the knee is the point with the least sum
    (Das 1999, "On characterizing the knee of the Pareto curve based on normal-boundary intersection").

    Args:
        points: (T, O) with T >= 1, non-dominated.
    """
    return int(_nearness(points).argmin())


def _nearness(points: FloatArray) -> FloatArray:
    """The sums of a front's (T, O) unit-scaled coordinates, (T,); empty for an empty front."""
    return np.asarray(unit_scaled(points).sum(axis=1) if len(points) else np.empty(0), float)


def attainment(fronts: Sequence[FloatArray], percent: float) -> FloatArray:
    """The surface that at least `percent` of the runs attain (Fonseca & Fleming 1996): moocore's exact EAF.

    Args:
        fronts: one (T_s, O) array a run, O being 2 or 3; empty fronts attain nothing.
        percent: 0 gives what any run attains, 50 the median surface, 100 what all attain.

    Returns:
        The surface's corner points (P, O), sorted by the first objective; empty where no surface is attained.
    """
    from moocore import eaf

    filled = [run for run in fronts if len(run)]
    share = percent * len(fronts) / max(len(filled), 1)
    if not filled or share > 100:
        return np.empty((0, fronts[0].shape[1] if fronts else 0))
    runs = np.repeat(np.arange(1, len(filled) + 1), [len(run) for run in filled])
    surface = eaf(np.vstack(filled), runs, percentiles=[share])[:, :-1]
    return np.asarray(surface[np.lexsort(surface.T[::-1])], float)
