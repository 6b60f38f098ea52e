"""The macro space: stages of layers, each with choices of its own."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from uninas_evo.contracts import Budget, Cost
from uninas_evo.errors import GenomeError, SpaceError
from uninas_evo.spaces.choices.own import Chosen, OwnSpace, Value
from uninas_evo.spaces.choices.text import read_settings
from uninas_evo.spaces.load import SpaceEntry
from uninas_evo.spaces.stages.cost import plan_cost
from uninas_evo.spaces.stages.plan import PER_STAGE, Only, Plan, conditions, plan_of, table
from uninas_evo.spaces.stages.presets import PRESETS

if TYPE_CHECKING:
    from torch import nn

FORM = "stages 1"
STRUCTURAL = 0.2
"""Share of the mutations that add or remove a stage: among fifty other choices it would hardly ever be."""


class StagesSpace(OwnSpace):
    """Three to eight stages; a genome maps the names of its choices to their values.

    Args:
        images: pixels of a side to choose among; multiples of 16. Networks take the largest, and resize.
        classes: outputs of the networks.
        channels: of the images.
        only: the values that are left of choices, such as ``{"kind": ["inverted"]}`` (see `plan.table`).
        budget: bounds that no operator leaves.
        start: values where walks begin, such as those of `PRESETS`; None for nowhere in particular.

    Raises:
        SpaceError: an image size is no multiple of 16, or `only` names no choice or value.
        BudgetError: the start lies outside the budget.
    """

    form = FORM

    def __init__(
        self,
        images: Sequence[int] = (32,),
        classes: int = 10,
        channels: int = 3,
        *,
        only: Only | None = None,
        budget: Budget | None = None,
        start: Mapping[str, Value] | None = None,
    ) -> None:
        wrong = [side for side in images if side < 16 or side % 16]
        if wrong or not images:
            raise SpaceError(f"image sizes are multiples of 16, so that patches fit, got {list(images)}; change them")
        self.images = tuple(images)
        largest = max(images)
        choices = table(images, only or {})
        self.lengths = choices["stages"]
        super().__init__(
            choices,
            self._network,
            self._formula,
            image=(channels, largest, largest),
            classes=classes,
            when=conditions(choices),
            budget=budget,
            start=start,
        )

    def mutate(self, genome: Chosen, rng: random.Random) -> Chosen | None:
        """A stage more or less, or another value of one choice: among them a layer more or less."""
        if rng.random() < STRUCTURAL:
            child = self._restaged(genome, rng)
            if child is not None and child != genome and self.admits(child):
                return child
        return super().mutate(genome, rng)

    def settings(self) -> Mapping[str, str]:
        """Image, classes, and the sizes of images to choose among."""
        return {**super().settings(), "images": " ".join(map(str, self.images))}

    def _restaged(self, genome: Chosen, rng: random.Random) -> Chosen | None:
        """A stage doubled or left out."""
        stages = [{name: genome.get(f"{name}_{n}") for name in PER_STAGE} for n in range(1, genome["stages"] + 1)]
        place = rng.randrange(len(stages))
        if rng.random() < 0.5:
            stages.insert(place, {**stages[place], "stride": 1})
        else:
            del stages[place]
        if len(stages) not in self.lengths:
            return None
        general = {name: value for name, value in genome.items() if not name[-1].isdigit()} | {"stages": len(stages)}
        chosen = {f"{name}_{n}": value for n, stage in enumerate(stages, 1) for name, value in stage.items()}
        return Chosen(general | {name: value for name, value in chosen.items() if value is not None})

    def plan(self, genome: Chosen) -> Plan:
        """The layers, which cost, network and drawing are made from."""
        return plan_of(genome)

    def _formula(self, genome: Chosen) -> Cost:
        return plan_cost(plan_of(genome), self.image[0], self.classes)

    def _network(self, genome: Chosen) -> nn.Module:
        from uninas_evo.spaces.stages.network import StagesNetwork

        return StagesNetwork(plan_of(genome), self.image[0], self.classes)


def load(source: str) -> tuple[StagesSpace, Any]:
    """The space and genome of a preset's name or of a text.

    Raises:
        GenomeError: the text is no genome.
    """
    if source in PRESETS:
        space = StagesSpace((224,), 1000)
        return space, space.started(PRESETS[source])
    settings = read_settings(source)
    try:
        images = [int(word) for word in settings["images"].split()]
        space = StagesSpace(images, int(settings["classes"]), int(settings["image"].split()[0]))
    except (KeyError, ValueError, IndexError) as error:
        raise GenomeError(
            f"a text of {FORM!r} tells image, classes and images in lines such as 'classes: 10', and one of them is "
            f"missing or wrong ({error}); fix it"
        ) from None
    return space, space.decode(source)


ENTRY = SpaceEntry(begins=(FORM,), load=load, presets=tuple(PRESETS))
