"""Evolutionary neural-architecture search in the UniNAS space.

Searching:
    solve: from data to a trained network within a clock; ImageClassifier: the same as an estimator of scikit-learn.
    search: a whole search in one call; `SearchResult` is what it gives.
    Loop, Journal: the loop of ask, score and tell, and its record, for driving a search by hand.

    draw, plot: the drawing of a genome, the figure of a result; notebooks show both.
    importance: which decisions of genomes mattered.

What is searched:
    SearchProblem: training-free scores, costs, trainings and functions of your own, in any space.
    UninasProblem: the same in the UniNAS space.
    UninasSpace, Skeleton, Genome, Budget: genomes and the bounds on them.
    load_genome, preset: a genome from a name, a file or a text; `load_space` gives its space too.
    build: the `torch.nn.Module` of a genome of any space.
    scale: a deeper, wider network, of UniNAS and UniNet.
    load: a trained network from its folder; `load_bank`: many trained networks from their table.
    predict: what a network would reach if it were trained, from such a table.

Extending:
    choices, Whole, Real: a space of your own from a table of choices and a function that builds.
    ChoiceSpace: a space of a fixed list of decisions; you give their cost and network.
    Space, Problem, Strategy, Objective, Candidate, Result, Cost, StopSearch: the contracts.
    UninasEvoError: the root of every error that a user can fix.

Names are imported when they are first used, so that `import uninas_evo` is instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from uninas_evo import _moved

if TYPE_CHECKING:
    from uninas_evo.api import search
    from uninas_evo.contracts import (
        Budget,
        Candidate,
        Cost,
        Objective,
        Problem,
        Result,
        Space,
        StopSearch,
        Strategy,
    )
    from uninas_evo.drawing.notebook import draw
    from uninas_evo.engine.journal import Journal
    from uninas_evo.engine.loop import Loop
    from uninas_evo.engine.results import SearchResult
    from uninas_evo.errors import UninasEvoError
    from uninas_evo.predictors.bank import load_bank
    from uninas_evo.problems.choices import choices
    from uninas_evo.problems.search import SearchProblem
    from uninas_evo.problems.uninas import UninasProblem
    from uninas_evo.report.results import importance, plot
    from uninas_evo.scoring.calibrated import predict
    from uninas_evo.solving.classifier import ImageClassifier
    from uninas_evo.solving.solve import solve
    from uninas_evo.spaces.choices import ChoiceSpace, Real, Whole
    from uninas_evo.spaces.load import build, load_genome, load_space
    from uninas_evo.spaces.scaling import scale
    from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset
    from uninas_evo.training.formats import load

_moved.install()

_HOMES = {
    "uninas_evo.contracts": (
        "Budget",
        "Candidate",
        "Cost",
        "Objective",
        "Problem",
        "Result",
        "Space",
        "StopSearch",
        "Strategy",
    ),
    "uninas_evo.errors": ("UninasEvoError",),
    "uninas_evo.spaces.choices": ("ChoiceSpace", "Real", "Whole"),
    "uninas_evo.spaces.load": ("build", "load_genome", "load_space"),
    "uninas_evo.problems.choices": ("choices",),
    "uninas_evo.problems.search": ("SearchProblem",),
    "uninas_evo.problems.uninas": ("UninasProblem",),
    "uninas_evo.engine.journal": ("Journal",),
    "uninas_evo.engine.loop": ("Loop",),
    "uninas_evo.engine.results": ("SearchResult",),
    "uninas_evo.api": ("search",),
    "uninas_evo.solving": ("solve",),
    "uninas_evo.solving.classifier": ("ImageClassifier",),
    "uninas_evo.predictors.bank": ("load_bank",),
    "uninas_evo.drawing.notebook": ("draw",),
    "uninas_evo.report.results": ("importance", "plot"),
    "uninas_evo.scoring.calibrated": ("predict",),
    "uninas_evo.spaces.scaling": ("scale",),
    "uninas_evo.spaces.uninas": ("Genome", "Skeleton", "UninasSpace", "preset"),
    "uninas_evo.training.formats": ("load",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Budget",
    "Candidate",
    "ChoiceSpace",
    "Cost",
    "Genome",
    "ImageClassifier",
    "Journal",
    "Loop",
    "Objective",
    "Problem",
    "Real",
    "Result",
    "SearchProblem",
    "SearchResult",
    "Skeleton",
    "Space",
    "StopSearch",
    "Strategy",
    "UninasEvoError",
    "UninasProblem",
    "UninasSpace",
    "Whole",
    "build",
    "choices",
    "draw",
    "importance",
    "load",
    "load_bank",
    "load_genome",
    "load_space",
    "plot",
    "predict",
    "preset",
    "scale",
    "search",
    "solve",
]


def __getattr__(name: str) -> Any:
    """Imports a name from its home when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        return version("uninas-evo")
    home = _HOME.get(name)
    if home is None:
        from difflib import get_close_matches

        near = get_close_matches(name, __all__, 1)
        raise AttributeError(
            f"module 'uninas_evo' has no attribute {name!r}{f'; did you mean {near[0]!r}?' if near else ''}"
        )
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    """The names that can be imported."""
    return __all__
