"""Policies: exact gradients, what is learned, and what a generation is made of."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from strategy_toy import GAIN, BitSpace, ask, make

from uninas_evo.contracts import Choice, Decision, Result
from uninas_evo.strategies.policies import LSTM, Ascent, Factorized, GradientPolicy
from uninas_evo.strategies.policy_gradient import ranks

DECISIONS = [
    Decision("kind", ("a", "b", "c")),
    Decision("width", ("1", "2"), ordered=True),
    Decision("kind 2", ("a", "b")),
]
PLAIN = Ascent(rate=0.1, epochs=1, clip=None, entropy=0.05)
CLIPPED = Ascent(rate=0.1, epochs=1, clip=0.2, entropy=0.05)


def policies(ascent: Ascent) -> list[GradientPolicy]:
    return [Factorized(ascent), LSTM(ascent, seed=3)]


def episode(policy: GradientPolicy, seed: int) -> list[Choice]:
    """One composition of the decisions."""
    choose, taken = policy.sample(random.Random(seed))
    for decision in DECISIONS:
        choose(decision)
    return taken


def objective(policy: GradientPolicy, taken: Sequence[Choice], advantage: float) -> float:
    """The clipped objective with its entropy bonus, from its definition."""
    policy.begin()
    total = 0.0
    for choice in taken:
        chances = policy.probabilities(choice.decision)
        policy.chose(choice.decision, choice.index)
        if policy.ascent.clip is None:
            total += advantage * math.log(chances[choice.index])
        else:
            ratio = chances[choice.index] / choice.probability
            clip = policy.ascent.clip
            total += min(ratio * advantage, max(1 - clip, min(1 + clip, ratio)) * advantage)
        total -= policy.ascent.entropy * sum(p * math.log(p) for p in chances)
    return total


@pytest.mark.parametrize("ascent", [PLAIN, CLIPPED])
@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("advantage", [1.3, -0.7])
def test_gradients_equal_differences(ascent: Ascent, kind: int, advantage: float) -> None:
    """The gradients are those of the objective, by central differences in every array, also after updates."""
    policy = policies(ascent)[kind]
    for seed in range(3):
        policy.update([episode(policy, seed)], [1.0])
    taken = episode(policy, 9)
    gradients: dict[str, np.ndarray] = {}
    policy.gradients(taken, advantage, gradients, 1.0)
    for name, gradient in gradients.items():
        flat, values = gradient.reshape(-1), policy.values[name].reshape(-1)
        for place in range(0, len(flat), max(1, len(flat) // 5)):
            kept, sides = values[place], []
            for change in (1e-5, -1e-5):
                values[place] = kept + change
                sides.append(objective(policy, taken, advantage))
            values[place] = kept
            assert flat[place] == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=1e-6)


@pytest.mark.parametrize("kind", [0, 1])
def test_the_first_genomes_are_uniform(kind: int) -> None:
    """Nothing is preferred before anything is learned."""
    policy = policies(CLIPPED)[kind]
    policy.begin()
    for decision in DECISIONS:
        assert policy.probabilities(decision) == pytest.approx([1 / len(decision.options)] * len(decision.options))
        policy.chose(decision, 0)


def test_no_step_leaves_the_clip_range() -> None:
    """A probability that has risen by the clip range gets no further gradient from a positive advantage."""
    policy = Factorized(Ascent(rate=0.1, epochs=1, clip=0.2, entropy=0.0))
    old = Choice(DECISIONS[1], 0, probability=0.4)
    gradients: dict[str, np.ndarray] = {}
    policy.gradients([old], 1.0, gradients, 1.0)  # the probability is 0.5 now: a ratio of 1.25
    assert not gradients["width"].any()
    policy.gradients([old], -1.0, gradients, 1.0)
    assert gradients["width"].any()


def test_ranks() -> None:
    """Ties share their rank, failures are last, a lone value and equal values say nothing."""
    assert ranks([5.0, 1.0, 3.0]) == pytest.approx([math.sqrt(3), -math.sqrt(3), 0])
    assert ranks([2.0, 2.0]) == [0, 0]
    assert ranks([7.0]) == [0]
    found = ranks([-math.inf, 1.0, 1.0])
    assert found[0] < found[1] == found[2]


@pytest.mark.parametrize("name", ["ppo", "reinforce"])
@pytest.mark.parametrize(
    "options", [{}, {"policy": "lstm", "rate": 0.02}, {"advantage": "standard"}, {"advantage": "ema"}]
)
def test_it_learns_to_count_ones(name: str, options: dict[str, object]) -> None:
    """On bits whose ones are counted, the last generations hold more ones than the first."""
    strategy = make(name, BitSpace(length=20), **options)
    counts = []
    for _ in range(25):
        generation = ask(strategy)
        counts.append(np.mean([sum(candidate.genome) for candidate in generation]))
        strategy.tell([Result(candidate, {GAIN.name: float(sum(candidate.genome))}) for candidate in generation])
    assert np.mean(counts[-5:]) > np.mean(counts[:5]) + 2
    assert sum(strategy.best_guess) > 10
    assert 0 <= strategy.decision_entropy <= math.log(2)
