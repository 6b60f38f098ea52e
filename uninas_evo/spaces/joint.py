"""Networks and the settings of their training, decided together: a space beside a table of settings.

The text of a genome is a line for each setting, then the text of the network::

    joint 1
    training.lr = 0.003
    training.optimizer = adamw
    stages 1
    ...

Source: Bansal et al., "JAHS-Bench-201", NeurIPS 2022 (joint architecture and hyperparameter search).
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from uninas_evo.contracts import Anchored, Budget, Choose, Cost, CostModel, Decision, Rebudgeted, Shape, Space
from uninas_evo.errors import BudgetError, GenomeError, SpaceError
from uninas_evo.spaces.choices.own import Chosen, OwnSpace, Table, Value
from uninas_evo.spaces.load import SpaceEntry, load_space

if TYPE_CHECKING:
    from torch import nn

FORM = "joint 1"
PREFIX = "training."
"""Begins the names of settings among the decisions and features of the network, and their lines."""
FREE = Cost(0, 0)
"""What settings cost."""
SHARE = 0.5
"""Of the mutations change a setting: how much either matters is what a search is to find out."""


@dataclass(frozen=True)
class Joint:
    """A network and how it is trained.

    Attributes:
        network: a genome of the space of networks.
        training: settings of the training by name.
    """

    network: Any
    training: Chosen


class JointSpace(Space[Joint]):
    """The genomes of a space, each with settings of its training.

    Args:
        networks: the space of the networks; its budget is this one's.
        table: for each setting the values to choose among, `Whole` or `Real`; see `OwnSpace`.
        start: values of the settings where walks begin; the middle one of a setting that has no such value.

    Raises:
        SpaceError: the table is wrong.
    """

    def __init__(self, networks: Space[Any], table: Table, start: Mapping[str, Value] | None = None) -> None:
        self.settings = OwnSpace(table, _no_network, _free, image=networks.image, classes=networks.classes)
        self._asked = {one.name: replace(one, name=PREFIX + one.name) for one in self.settings.decisions}
        self._begun = self.settings.compose(lambda decision: _near(decision, start or {}))
        self._settle(networks)

    def _settle(self, networks: Space[Any]) -> None:
        """Takes a space of networks, and from it what all spaces have."""
        self.networks = networks
        self.image, self.classes = networks.image, networks.classes
        self.budget, self.costs = networks.budget, networks.costs
        self.start = None if networks.start is None else Joint(networks.start, self._begun)

    def _over(self, networks: Space[Any]) -> Self:
        other = copy.copy(self)
        other._settle(networks)
        return other

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Those of the space of networks, which must have a list of them, and the settings."""
        networks: Any = self.networks
        return (*networks.decisions, *self._asked.values())

    def training(self, genome: Joint) -> Mapping[str, Any]:
        """The settings of a genome."""
        return genome.training

    def compose(self, choose: Choose) -> Joint:
        """Asks for the network, then for the settings."""
        network = self.networks.compose(choose)
        return Joint(network, self.settings.compose(lambda decision: choose(self._asked[decision.name])))

    def mutate(self, genome: Joint, rng: random.Random) -> Joint | None:
        """A step of the network or a mutant of the settings; the other where there is none."""
        for part in ("training", "network") if rng.random() < SHARE else ("network", "training"):
            space: Space[Any] = self.settings if part == "training" else self.networks
            found = space.mutate(getattr(genome, part), rng)
            if found is not None:
                return replace(genome, **{part: found})
        return None

    def crossover(self, a: Joint, b: Joint, rng: random.Random) -> Joint | None:
        """A child of the networks, where there is one, with a child of the settings."""
        network = self.networks.crossover(a.network, b.network, rng)
        training = self.settings.crossover(a.training, b.training, rng)
        return Joint(a.network if network is None else network, a.training if training is None else training)

    def cost(self, genome: Joint) -> Cost:
        """The network's; settings cost nothing."""
        return self.networks.cost(genome.network)

    def features(self, genome: Joint) -> Mapping[str, float]:
        """The settings' and the network's."""
        settings = self.settings.features(genome.training)
        return {
            **{PREFIX + name: value for name, value in settings.items() if name not in FREE},
            **self.networks.features(genome.network),
        }

    def image_of(self, genome: Joint) -> Shape:
        """As the space of the networks has it."""
        return self.networks.image_of(genome.network)

    def build(self, genome: Joint) -> nn.Module:
        """The network."""
        return self.networks.build(genome.network)

    def encode(self, genome: Joint) -> str:
        """The settings, then the text of the network."""
        lines = (PREFIX + line for line in self.settings.encode(genome.training).splitlines() if " = " in line)
        return "\n".join([FORM, *lines, self.networks.encode(genome.network)])

    def decode(self, text: str) -> Joint:
        """The genome of a text.

        Raises:
            GenomeError: the text is not one of this space.
        """
        lines, network = _parted(text)
        return Joint(self.networks.decode(network), self.settings.answered(lines))

    def with_budget(self, budget: Budget) -> Self:
        """The same with networks inside another budget.

        Raises:
            SpaceError: the space of networks cannot change its budget.
        """
        if not isinstance(self.networks, Rebudgeted):
            raise SpaceError(f"{type(self.networks).__name__} cannot change its budget; add `with_budget`")
        return self._over(self.networks.with_budget(budget))

    def with_costs(self, costs: Sequence[CostModel[Any]], budget: Budget) -> Self:
        """The same with further costs of the networks; see `Space.with_costs`."""
        return self._over(self.networks.with_costs(costs, budget))

    def around(self, genome: Joint) -> Self:
        """The same with networks near a genome's, where their space can be seen from there."""
        return self._over(self.networks.around(genome.network)) if isinstance(self.networks, Anchored) else self


class FixedSpace(Space[Any]):
    """One network alone, for searching what is decided beside it.

    Args:
        space: builds the network.
        genome: the network.
        budget: must admit it.

    Raises:
        BudgetError: it does not.
    """

    decisions: tuple[Decision, ...] = ()

    def __init__(self, space: Space[Any], genome: Any, budget: Budget | None = None) -> None:
        self.space, self.start = space, genome
        self.image, self.classes = space.image, space.classes
        self._bound(budget or Budget())

    def _bound(self, budget: Budget) -> None:
        self.budget = budget
        if not budget.admits(cost := self.cost(self.start)):
            raise BudgetError(f"the network must be inside {budget}, it costs {cost}; widen the budget")

    def compose(self, choose: Choose) -> Any:
        """The network; nothing is asked."""
        return self.start

    def mutate(self, genome: Any, rng: random.Random) -> None:
        """None: there is no other."""

    def crossover(self, a: Any, b: Any, rng: random.Random) -> None:
        """None: there is no other."""

    def cost(self, genome: Any) -> Cost:
        """As its space has it."""
        return self.extended(genome, self.space.cost(genome))

    def image_of(self, genome: Any) -> Shape:
        """As its space has it."""
        return self.space.image_of(genome)

    def build(self, genome: Any) -> nn.Module:
        """As its space does."""
        return self.space.build(genome)

    def encode(self, genome: Any) -> str:
        """As its space does."""
        return self.space.encode(genome)

    def decode(self, text: str) -> Any:
        """The network, of its own text.

        Raises:
            GenomeError: it is another text.
        """
        if self.space.decode(text) != self.start:
            raise GenomeError("the network is fixed, and this is another one's text; give the text of the fixed one")
        return self.start

    def with_budget(self, budget: Budget) -> Self:
        """The same inside another budget.

        Raises:
            BudgetError: it does not admit the network.
        """
        other = copy.copy(self)
        other._bound(budget)
        return other


def load(text: str) -> tuple[JointSpace, Joint]:
    """The genome of a text, in a space of its network's whose settings are those of the text.

    Raises:
        GenomeError: the text is no genome.
    """
    lines, rest = _parted(text)
    networks, network = load_space(rest)
    pairs = (line.partition(" = ") for line in lines)
    space = JointSpace(networks, {name: [_value(text)] for name, _, text in pairs})
    return space, Joint(network, space.settings.answered(lines))


ENTRY = SpaceEntry(begins=(FORM,), load=load)


def _parted(text: str) -> tuple[list[str], str]:
    """The lines of the settings without their prefix, and the text of the network.

    Raises:
        GenomeError: the first line is another one, or nothing follows the settings.
    """
    first, *lines = text.lstrip().split("\n")
    count = next((place for place, line in enumerate(lines) if not line.startswith(PREFIX)), None)
    if first.strip() != FORM or count is None or lines[count].strip() == FORM:
        raise GenomeError(
            f"a network with its training is the line {FORM!r}, lines such as '{PREFIX}lr = 0.001', and the text of "
            f"the network, got {text[:40]!r}; give a text that this space wrote"
        )
    return [line.removeprefix(PREFIX).strip() for line in lines[:count]], "\n".join(lines[count:])


def _value(text: str) -> Value:
    """The value of a setting's text."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _near(decision: Decision, start: Mapping[str, Value]) -> str:
    """The start's answer, or the middle one where it has none."""
    answer = str(start.get(decision.name, ""))
    try:
        decision.index(answer)
    except ValueError:
        return decision.options[len(decision.options) // 2]
    return answer


def _free(chosen: Chosen) -> Cost:
    return FREE


def _no_network(chosen: Chosen) -> nn.Module:
    raise SpaceError(f"settings alone are no network, got {chosen}; build a genome of the joint space")
