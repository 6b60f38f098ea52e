"""Policies that learn to compose good genomes: proximal policy optimization and REINFORCE.

Sources: Schulman et al., arXiv 1707.06347 (PPO); Williams, Machine Learning 8, 1992 (REINFORCE); Zoph & Le, "Neural
Architecture Search with Reinforcement Learning", ICLR 2017, arXiv 1611.01578.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import pydantic

from uninas_evo.contracts import Choice, Draft, Objective, Policy, Result, Space
from uninas_evo.strategies.base import MAX_TRIES, MOST, Generational, StrategyOptions
from uninas_evo.strategies.policies import LSTM, Ascent, Factorized, entropy

_DECAY = 0.9
"""Of the moving averages of `ema`: the last ten candidates count most."""
_OUTLIER = 3.0
"""Deviations at which an advantage of `ema` is cut."""


class PolicyOptions(StrategyOptions):
    """Options of `ppo` and `reinforce`."""

    policy: Literal["factorised", "lstm"] = pydantic.Field(
        "factorised",
        description="factorised: independent logits for each decision; lstm: a controller that remembers what was "
        "chosen before, which needs half as many evaluations again on NAS-Bench-201",
    )
    batch: int = pydantic.Field(
        8, ge=1, le=MOST, description="candidates of a generation; of 4 one search in ten fails, 16 is slow"
    )
    tries: int = pydantic.Field(
        10, ge=1, le=MOST, description="draws of the policy for a genome that was not asked before"
    )
    advantage: Literal["rank", "standard", "ema"] = pydantic.Field(
        "rank",
        description="rank: ranks within the generation, which know no scale and no outlier; standard: deviations from "
        "the generation's mean; ema: deviations from a moving average, the classical baseline",
    )
    rate: float | None = pydantic.Field(
        None, gt=0, description="Adam's step size; unset: 0.15 (ppo), 0.3 (reinforce), 0.005 (lstm)"
    )
    entropy: float | None = pydantic.Field(
        None, ge=0, description="weight of the entropy bonus; unset: 0.01, with lstm 0.05, which settles too early"
    )


class PPOOptions(PolicyOptions):
    """Options of `ppo`."""

    epochs: int = pydantic.Field(
        4, ge=1, le=MOST, description="passes over a generation; 1 and 2 learn later, 8 no sooner"
    )
    clip: float = pydantic.Field(0.2, gt=0, lt=1, description="how far a probability's ratio may move; the paper's")


class PolicyGradient(Generational):
    """Draws a generation from a policy and makes what did well more probable.

    A genome that was asked before is drawn anew; where the policy has settled, mutants of its last draw take over, and
    only where these are known too, samples of the space. Only what the policy drew is learned from. Everything is
    numpy in double precision and one random number a decision: replaying repeats it exactly, without snapshots.

    Args:
        space: its `compose` is what the policy answers.
        objectives: exactly one.
        seed: of all draws.
        options: see `PolicyOptions`.

    Attributes:
        learned: the policy.
    """

    options: PolicyOptions
    objectives_allowed = "one"
    rates: ClassVar[dict[str, float]]

    def __init__(self, space: Space[Any], objectives: Sequence[Objective], *, seed: int, **options: Any) -> None:
        super().__init__(space, objectives, seed=seed, **options)
        self.learned = self._policy(seed)
        self._episodes: dict[int, list[Choice]] = {}
        self._baseline: tuple[float, float] | None = None

    def ascent(self) -> Ascent:
        """How the policy learns, from the options."""
        o = self.options
        rate = self.rates[o.policy] if o.rate is None else o.rate
        bonus = {"factorised": 0.01, "lstm": 0.05}[o.policy] if o.entropy is None else o.entropy
        return Ascent(rate, epochs=1, clip=None, entropy=bonus)

    def _policy(self, seed: int) -> Policy:
        return Factorized(self.ascent()) if self.options.policy == "factorised" else LSTM(self.ascent(), seed)

    def breed(self) -> Iterator[Draft]:
        """A generation: draws of the policy, else mutants of its last draw, else samples."""
        for _ in range(self.options.batch):
            yield self._drawn() or self.novel(self.sample)

    def _drawn(self) -> Draft | None:
        genome = None
        for _ in range(self.options.tries):
            choose, episode = self.learned.sample(self.rng)
            genome = self.space.compose(choose)
            if not self.asked(genome):
                self._episodes[self.next_number] = episode
                return Draft(genome, origin="policy")
        for _ in range(MAX_TRIES):
            step = self.space.mutate(genome, self.rng)
            if step is None:
                return None
            genome = step
            if not self.asked(genome):
                return Draft(genome, origin="mutate")
        return None

    def select(self, results: Sequence[Result]) -> None:
        """One update of the policy, from the advantages within the generation."""
        advantages = self._advantages([self.fitness(result)[0] for result in results])
        drawn = [
            (self._episodes.pop(result.candidate.number), advantage)
            for result, advantage in zip(results, advantages, strict=True)
            if result.candidate.number in self._episodes
        ]
        self.learned.update([episode for episode, _ in drawn], [advantage for _, advantage in drawn])

    def _advantages(self, values: Sequence[float]) -> list[float]:
        if self.options.advantage == "rank":
            return ranks(values)
        finite = [value for value in values if math.isfinite(value)]
        if not finite:
            return [0.0] * len(values)
        filled = [value if math.isfinite(value) else min(finite) for value in values]
        if self.options.advantage == "standard":
            deviation = statistics.pstdev(filled)
            mean = statistics.fmean(filled)
            return [(value - mean) / deviation if deviation else 0.0 for value in filled]
        return [self._moving(value) for value in filled]

    def _moving(self, value: float) -> float:
        mean, variance = self._baseline or (value, 0.0)
        apart = value - mean
        advantage = apart / math.sqrt(variance) if variance else 0.0
        self._baseline = mean + (1 - _DECAY) * apart, _DECAY * (variance + (1 - _DECAY) * apart**2)
        return max(-_OUTLIER, min(_OUTLIER, advantage))

    @property
    def best_guess(self) -> Any:
        """The genome of the most probable choices."""
        return self.space.compose(self.learned.derive())

    @property
    def decision_entropy(self) -> float:
        """Mean entropy a decision, in nats, along the most probable choices: 0 where the policy has settled."""
        seen: list[float] = []
        choose = self.learned.derive()

        def watch(decision: Any) -> str:
            seen.append(entropy(self.learned.probabilities(decision)))
            return choose(decision)

        self.space.compose(watch)
        return statistics.fmean(seen) if seen else 0.0


class PPO(PolicyGradient):
    """Proximal policy optimization: several clipped steps a generation, which is how UniNet was searched.

    When to use it: in spaces of a few dozen decisions, where what is good in one place is good in most genomes (macro
    spaces such as UniNet, cells). On NAS-Bench-201 it needs about a third more evaluations than `evolution`.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.policy_gradient import PPO

        strategy = PPO(NASBench201Space(), [Objective("accuracy", "maximize")], seed=0, batch=4)
        print(len(strategy.ask()))  # 4
        ```
    """

    Options = PPOOptions
    options: PPOOptions
    rates: ClassVar[dict[str, float]] = {"factorised": 0.15, "lstm": 0.005}

    def ascent(self) -> Ascent:
        """Several epochs with a clipped ratio."""
        base = super().ascent()
        return Ascent(base.rate, self.options.epochs, self.options.clip, base.entropy)


class Reinforce(PolicyGradient):
    """REINFORCE: one unclipped step a generation; the plainest policy gradient, a fifth slower than `ppo`.

    When to use it: as the baseline of `ppo`.

    Example:
        ```python
        from uninas_evo import Objective
        from uninas_evo.spaces.nasbench201.space import NASBench201Space
        from uninas_evo.strategies.policy_gradient import Reinforce

        strategy = Reinforce(NASBench201Space(), [Objective("accuracy", "maximize")], seed=0)
        print(strategy.ask()[0].origin)  # policy
        ```
    """

    Options = PolicyOptions
    rates: ClassVar[dict[str, float]] = {"factorised": 0.3, "lstm": 0.005}


def ranks(values: Sequence[float]) -> list[float]:
    """Advantages by rank: 2√3·(rank/(n − 1) − ½), of mean 0 and deviation near 1; ties share their mean rank.

    Failures (minus infinity) rank last; a single value, or all equal, gives 0.
    """
    if len(values) < 2:
        return [0.0] * len(values)
    from scipy.stats import rankdata

    scale = 2 * math.sqrt(3)
    return [scale * ((float(rank) - 1) / (len(values) - 1) - 0.5) for rank in rankdata(values)]
