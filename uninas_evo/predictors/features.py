"""Genomes as rows of numbers: what their space says of them, and the ranks of their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from uninas_evo.errors import PredictorError

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray


class Features:
    """Rows of features in one order of columns.

    Columns in `ranked` (proxies) become their ranks, from 0 to 1, among the genomes that it was made with: scores of
    networks differ by orders of magnitude, and only their order is known to mean something. A count that a genome does
    not have is 0; a score that it does not have (NaN, or not scored) is the median. Columns that never vary are left
    out.

    Args:
        known: named numbers of the genomes that fix the columns, as `Space.features` and proxies give them.
        ranked: the columns that become ranks.

    Attributes:
        names: of the columns.

    Raises:
        PredictorError: there is no genome, or nothing in which they differ.
    """

    def __init__(self, known: Sequence[Mapping[str, float]], ranked: Sequence[str] = ()) -> None:
        names = sorted({name for row in known for name in row})
        scores = set(ranked) & set(names)
        columns = {name: _column(known, name, np.nan if name in scores else 0.0) for name in names}
        self.names = [name for name, column in columns.items() if len(np.unique(column[~np.isnan(column)])) > 1]
        if not self.names:
            raise PredictorError(
                f"a predictor learns from features that differ between genomes, got {len(known)} genomes with "
                f"{len(names)} features that are all the same; give it more genomes, or a space with features"
            )
        self._sorted = {n: np.sort(columns[n][~np.isnan(columns[n])]) for n in self.names if n in scores}

    def rows(self, genomes: Sequence[Mapping[str, float]]) -> FloatArray:
        """Features (N, D) of genomes; columns that are not known are left out."""
        return np.array([self._values(genomes, name) for name in self.names], float).T.reshape(-1, len(self.names))

    def _values(self, genomes: Sequence[Mapping[str, float]], name: str) -> FloatArray:
        known = self._sorted.get(name)
        if known is None:
            return np.nan_to_num(_column(genomes, name, 0.0))
        column = _column(genomes, name, np.nan)
        ranks = (np.searchsorted(known, column, "left") + np.searchsorted(known, column, "right")) / (2 * len(known))
        return np.where(np.isnan(column), 0.5, ranks)


def _column(genomes: Sequence[Mapping[str, float]], name: str, missing: float) -> FloatArray:
    return np.array([genome.get(name, missing) for genome in genomes], float)
