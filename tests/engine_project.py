"""A small project of a user: a run file and an objective that imports a module beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import uninas_evo
from uninas_evo.engine.events import ResultEvent
from uninas_evo.engine.journal import read_journal

SKELETON = "{image_size = 32, classes = 10, stem = [8, 16], channels = [32, 64], depths = [1, 1]}"
RUN = f"""
evaluations = 4
pool = {{devices = "in-process"}}
after = {{rescore = 0, plot = false}}
strategy = {{name = "random_walk"}}
[problem]
objective = "own.py:score"
skeleton = {SKELETON}
"""
OWN = "from helper import K\ndef score(genome: 'Genome'):\n    return K\n"


def values(folder: Path) -> set[float]:
    results = [one for one in read_journal(folder)[1] if isinstance(one, ResultEvent)]
    return {(one.values or {})["score"] for one in results}


def search(project: Path, **more: Any) -> uninas_evo.SearchResult:
    problem = {"objective": f"{project}/own.py:score", "skeleton": {"image_size": 32, "classes": 10, "stem": [8, 16]}}
    problem["skeleton"] |= {"channels": [32, 64], "depths": [1, 1]}  # type: ignore[operator]
    options: dict[str, Any] = {"pool": {"devices": "in-process"}, "after": {"rescore": 0, "plot": False}, "quiet": True}
    return uninas_evo.search(problem, "random_walk", out=project / "s", **options, **more)
