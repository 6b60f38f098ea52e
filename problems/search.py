"""Any space times scorers: the problem that all others are made of."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from uninas_evo.contracts import Ancestor, Budget, Canonical, Problem, Progress, Rebudgeted, Scorer, Space
from uninas_evo.errors import ObjectiveError, RunFileError
from uninas_evo.problems.settings import with_training
from uninas_evo.scoring.cost import CostScorer
from uninas_evo.scoring.function import FunctionScorer
from uninas_evo.scoring.named import ConstraintOptions, Scorers, Written
from uninas_evo.scoring.subject import GenomeSubject, repeatable
from uninas_evo.spaces.choices.own import Table


class SearchProblem(Problem):
    """Scores the genomes of any space by scorers, each of which sees a genome as if it were alone.

    Args:
        space: where genomes come from.
        scorers: `Scorer` objects, or what a run file may write as an objective: names of proxies, of the space's costs
            and of scorers ("latency_ms", "train"), functions of your own (see `scoring.function`), or
            `ObjectiveOptions` where a goal or several values must be told.
        seed: fixes images and weights.
        batch: images that proxies score with.
        proxy_images: data whose images and labels proxies score with, in the place of noise.
        calibrated_norms: whether batch norms have the statistics of a first batch when a proxy scores.
        canonical: whether proxies score the genome that stands for all that they do not tell apart.
        proxies: settings of proxies and scorers by their names.
        aggregate: proxies that are joined into the objective "aggregate" (see `scoring.aggregate`).
        constraints: bounds on values that scoring gives (see `ConstraintOptions`).
        training: settings of the training that genomes decide beside their network, with the values of each: genomes
            are `Joint` ones then, of a `JointSpace` over the given space.

    Attributes:
        scorers: one of a kind, in the order in which they score.
        own: scorers of the problem itself, whose objectives are found by name.

    Raises:
        ObjectiveError: an objective does not exist, stands there twice, or has no such setting.
    """

    Options: ClassVar[type[BaseModel]]
    own: tuple[Scorer, ...] = ()

    def __init__(
        self,
        space: Space[Any],
        scorers: Sequence[Written],
        *,
        seed: int = 0,
        batch: int = 64,
        proxy_images: str | Path | None = None,
        calibrated_norms: bool = False,
        canonical: bool = True,
        proxies: Mapping[str, Mapping[str, Any]] | None = None,
        aggregate: Sequence[str] = (),
        constraints: Sequence[ConstraintOptions | Mapping[str, Any]] = (),
        training: Table | None = None,
    ) -> None:
        bounds = [ConstraintOptions.model_validate(one) for one in constraints]
        self.space = space
        self.seed = self.run_seed = seed
        found = Scorers(
            scorers,
            aggregate=aggregate,
            batch=batch,
            images=None if proxy_images is None else str(proxy_images),
            calibrated_norms=calibrated_norms,
            canonical=canonical,
            settings=proxies,
            own=self.own,
            costs=tuple(space.cost(_example(space))),
            constrained=[one.name for one in bounds],
        )
        self.scorers, self.objectives = tuple(found.scorers), found.objectives
        if training:
            self.space = with_training(space, training, self.scorers)
        self.constraints = tuple(one.constraint() for one in bounds)
        self.sources = (
            *(file for scorer in self.scorers for file in scorer.sources),
            *(file for model in space.costs for file in model.sources),
        )
        known = isinstance(self.space, Canonical)
        self.canonical = known and any(scorer.canonical for scorer in self.scorers)
        alone = all(scorer.canonical or isinstance(scorer, CostScorer) for scorer in self.scorers)
        self._shares = self.canonical and alone and not any(one.is_cost for one in self.objectives)
        self.fidelities = next((scorer.fidelities for scorer in self.scorers if scorer.fidelities), ())
        self.derives = any(scorer.derives for scorer in self.scorers)
        self._is_ready = False

    @classmethod
    def from_options(cls, options: Any, seed: int) -> Problem:
        """Subclasses of a space make theirs of a run file's `[problem]` table.

        Raises:
            RunFileError: this one is of any space, which a run file cannot hold.
        """
        raise RunFileError(
            f"{cls.__name__} cannot be named in a run file: it is made in Python, of a space; "
            f"name a space's own problem (`uninas-evo list problems`), or register a subclass with a from_options"
        )

    def make_ready(self, folder: Path | None, device: str, progress: Progress) -> None:
        """Has every scorer make what all its scores share; fresh seeds change nothing of it."""
        with self._repeatable():
            for scorer in self.scorers:
                scorer.make_ready(self.space, self.run_seed, folder, device, progress)
        made = {type(scorer).__name__: scorer.prepared for scorer in self.scorers if scorer.prepared}
        self.prepared = dict(sorted(made.items()))
        self.learned = next((scorer.learned for scorer in self.scorers if scorer.derives), None)
        self._is_ready = True

    def standing_for(self, genome: Any) -> Any:
        """Where training-free scores alone are followed, the genome that these score in its place."""
        return self.space.canonical(genome) if self._shares and isinstance(self.space, Canonical) else genome

    def clean_up(self, folder: Path | None) -> int:
        """Has every scorer remove what nobody needs any more."""
        return sum(scorer.clean_up(folder) for scorer in self.scorers)

    def prepare(self, device: str) -> None:
        """Imports what scorers need, such as torch and the user's functions."""
        for scorer in self.scorers:
            scorer.prepare(self.space, device)

    def evaluate(
        self, genome: Any, device: str, *, fidelity: int | None = None, lineage: Sequence[Ancestor] = ()
    ) -> Mapping[str, float]:
        """A value for every objective, the space's costs, and `NAME_se` where a value has a standard error."""
        if not self._is_ready:  # a worker of a comparison, or the user's own loop
            self.make_ready(None, device, lambda _: None)
        subject = GenomeSubject(genome, self.space, self.seed, fidelity, lineage)
        values: dict[str, float] = {}
        with self._repeatable():
            for scorer in self._by_urgency:
                values.update(subject.scored(scorer, device))
                for one in self.constraints:
                    if values.get(one.name, 0.0) > one.drop:
                        raise ObjectiveError(f"dropped: {one.name} is {values[one.name]:.6g}, beyond {one.drop:g}")
        return values

    @property
    def _by_urgency(self) -> Sequence[Scorer]:
        """The scorers, those first whose values may drop a genome."""
        dropping = {one.name for one in self.constraints if one.drop < math.inf}
        return sorted(self.scorers, key=lambda scorer: not any(one.name in dropping for one in scorer.objectives))

    def _repeatable(self) -> Any:
        light = all(scorer.is_pure or isinstance(scorer, FunctionScorer) for scorer in self.scorers)
        # torch is half a gigabyte, which functions of plain Python need not load.
        return nullcontext() if light and "torch" not in sys.modules else repeatable()


def _example(space: Space[Any]) -> Any:
    """A genome whose costs have the names of all: the start, else any, which is found sooner outside the budget."""
    if space.start is not None:
        return space.start
    free = space.with_budget(Budget()) if isinstance(space, Rebudgeted) else space
    return free.sample(random.Random(0))
