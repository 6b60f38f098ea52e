"""Names of rooms that version 0.1 had: importing one says where its content is now."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import NoReturn

MOVED = {
    "uninas_evo.run": "uninas_evo.engine (journal, loop, search), uninas_evo.pool or uninas_evo.config (run files)",
    "uninas_evo.space": "uninas_evo.spaces.uninas",
    "uninas_evo.network": "uninas_evo.spaces.uninas.network",
    "uninas_evo.problems.function": "uninas_evo.scoring.function",
    "uninas_evo.problems.latency": "uninas_evo.scoring.latency",
    "uninas_evo.problems.aggregate": "uninas_evo.scoring.aggregate",
    "uninas_evo.training.fitness": "uninas_evo.scoring.training",
    "uninas_evo.training.comparison": "uninas_evo.compare.train_and_compare",
    "uninas_evo.training.rivals": "uninas_evo.compare.baselines",
    "uninas_evo.proxies.audit": "uninas_evo.compare.audit",
    "uninas_evo.proxies.rank": "uninas_evo.stats.ranks",
    "uninas_evo.report.pareto": "uninas_evo.stats.fronts",
    "uninas_evo.report.statistics": "uninas_evo.stats.tests",
    "uninas_evo.report.drawing": "uninas_evo.drawing",
    "uninas_evo.report.parts": "uninas_evo.drawing.parts",
    "uninas_evo.report.layout": "uninas_evo.drawing.layout",
    "uninas_evo.report.walk": "uninas_evo.spaces.uninas.walk",
    "uninas_evo.report.compare": "uninas_evo.compare",
}


class _Moved(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name in MOVED:
            _refuse(name)


def _refuse(name: str) -> NoReturn:
    raise ModuleNotFoundError(f"{name} has moved: import from {MOVED[name]}", name=name)


def install() -> None:
    """Has imports of moved modules say where they are now."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
