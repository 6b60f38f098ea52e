"""The policies of `ppo` and `reinforce`: independent logits for each decision, or an LSTM over the composition.

Both ascend the clipped objective of Schulman et al., "Proximal Policy Optimization Algorithms", arXiv 1707.06347,
equation 7, with an entropy bonus; without clipping and ratio it is that of Williams, "Simple statistical
gradient-following algorithms", Machine Learning 8, 1992.
"""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uninas_evo.contracts.decision import Decision
from uninas_evo.contracts.policy import Choice, Episode, Policy

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray

HIDDEN = 32
"""Units of the LSTM: enough for the 25 decisions of UniNet, and an update stays below 50 ms."""


@dataclass(frozen=True)
class Ascent:
    """How a policy learns.

    Attributes:
        rate: Adam's step size.
        epochs: passes over the same episodes.
        clip: how far the ratio of new to old probabilities may move; None: no ratio and no limit (REINFORCE).
        entropy: weight β of the entropy bonus.
    """

    rate: float
    epochs: int
    clip: float | None
    entropy: float


def logit_gradient(chances: FloatArray, choice: Choice, advantage: float, ascent: Ascent) -> FloatArray:
    """The objective's gradient with respect to one decision's logits.

    With the ratio ρ = π(i)/π_old(i): A·ρ·(onehot(i) − π), 0 where the ratio has left the clip range in the
    direction of A, plus β times the entropy's gradient −π·(log π + H).

    Args:
        chances: (options,) the probabilities now.
        choice: what was drawn, and how probable it was then.
        advantage: A of its episode.
        ascent: clip and entropy weight.
    """
    factor = advantage
    if ascent.clip is not None:
        ratio = chances[choice.index] / choice.probability
        beyond = ratio > 1 + ascent.clip if advantage > 0 else ratio < 1 - ascent.clip
        factor = 0.0 if beyond else advantage * ratio
    logs = np.log(np.maximum(chances, 1e-300))
    gradient: FloatArray = -factor * chances - ascent.entropy * chances * (logs - (chances * logs).sum())
    gradient[choice.index] += factor
    return gradient


class Adam:
    """Adam (Kingma & Ba, ICLR 2015) over named arrays, ascending; arrays without a gradient rest."""

    def __init__(self, rate: float) -> None:
        self.rate, self._steps = rate, 0
        self._moments: dict[str, tuple[FloatArray, FloatArray]] = {}

    def step(self, values: Mapping[str, FloatArray], gradients: Mapping[str, FloatArray]) -> None:
        """Changes the values in place along their gradients."""
        self._steps += 1
        for name in sorted(gradients):
            gradient = gradients[name]
            first, second = self._moments.get(name, (np.zeros_like(gradient), np.zeros_like(gradient)))
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            self._moments[name] = first, second
            root = np.sqrt(second / (1 - 0.999**self._steps))
            values[name][...] += self.rate * first / (1 - 0.9**self._steps) / (root + 1e-8)


class GradientPolicy(Policy):
    """A policy of named arrays that follows the gradient of its episodes' objective."""

    def __init__(self, ascent: Ascent) -> None:
        self.ascent = ascent
        self.values: dict[str, FloatArray] = {}
        self._adam = Adam(ascent.rate)

    @abstractmethod
    def gradients(self, episode: Episode, advantage: float, into: dict[str, FloatArray], weight: float) -> None:
        """Adds an episode's gradients, times a weight, to those of the values."""

    def update(self, episodes: Sequence[Episode], advantages: Sequence[float]) -> None:
        """As many steps as `ascent.epochs`, each along the mean gradient of all episodes."""
        if not episodes:
            return
        for _ in range(self.ascent.epochs):
            total: dict[str, FloatArray] = {}
            for episode, advantage in zip(episodes, advantages, strict=True):
                self.gradients(episode, advantage, total, 1 / len(episodes))
            self._adam.step(self.values, total)


class Factorized(GradientPolicy):
    """Independent logits for each decision, zeros at first: what was chosen before does not matter."""

    def begin(self) -> None:
        """Nothing to forget."""

    def probabilities(self, decision: Decision) -> Sequence[float]:
        """The softmax of the decision's logits."""
        chances: list[float] = _softmax(self._logits(decision)).tolist()
        return chances

    def gradients(self, episode: Episode, advantage: float, into: dict[str, FloatArray], weight: float) -> None:
        """Adds each choice's gradient to that of its decision's logits."""
        for choice in episode:
            chances = _softmax(self._logits(choice.decision))
            _add(into, choice.decision.name, weight * logit_gradient(chances, choice, advantage, self.ascent))

    def _logits(self, decision: Decision) -> FloatArray:
        return self.values.setdefault(decision.name, np.zeros(len(decision.options)))


class LSTM(GradientPolicy):
    """One LSTM cell that reads the decision and the last choice (the form of Zoph & Le, ICLR 2017).

    Heads and biases begin at 0, so that the first genomes are uniform; everything else is uniform in ±0.1, drawn by a
    generator keyed by the seed and the array's name: in which order decisions are first met does not matter.

    Args:
        ascent: how it learns.
        seed: of the first weights.
    """

    def __init__(self, ascent: Ascent, seed: int) -> None:
        super().__init__(ascent)
        self._seed = seed
        self.begin()

    def begin(self) -> None:
        """Forgets the composition before."""
        self._state = np.zeros(HIDDEN), np.zeros(HIDDEN)
        self._last = "begin"
        self._memory: tuple[FloatArray, FloatArray] | None = None

    def probabilities(self, decision: Decision) -> Sequence[float]:
        """The softmax of the decision's head, read from the state after the decision."""
        cell = _Cell(self, decision, self._last, *self._state)
        self._memory = cell.memory, cell.hidden
        chances: list[float] = cell.chances.tolist()
        return chances

    def chose(self, decision: Decision, index: int) -> None:
        """The choice is part of the next input."""
        if self._memory is not None:
            self._state = self._memory
        self._last = f"{decision.name}={index}"

    def gradients(self, episode: Episode, advantage: float, into: dict[str, FloatArray], weight: float) -> None:
        """Backpropagation through the whole composition."""
        cells: list[_Cell] = []
        memory, hidden, last = np.zeros(HIDDEN), np.zeros(HIDDEN), "begin"
        for choice in episode:
            cells.append(_Cell(self, choice.decision, last, memory, hidden))
            memory, hidden, last = cells[-1].memory, cells[-1].hidden, f"{choice.decision.name}={choice.index}"
        to_memory, to_hidden = np.zeros(HIDDEN), np.zeros(HIDDEN)
        for cell, choice in zip(reversed(cells), reversed(episode), strict=True):
            logits = weight * logit_gradient(cell.chances, choice, advantage, self.ascent)
            to_memory, to_hidden = cell.backward(logits, to_memory, to_hidden, into)

    def array(self, name: str, shape: tuple[int, ...], *, zero: bool = False) -> FloatArray:
        """A named array of weights, made when it is first needed."""
        if name not in self.values:
            rng = random.Random(f"{self._seed} {name}")
            drawn = [0.0 if zero else rng.uniform(-0.1, 0.1) for _ in range(math.prod(shape))]
            self.values[name] = np.array(drawn).reshape(shape)
        return self.values[name]


class _Cell:
    """One step of the LSTM, with what its backward pass needs."""

    def __init__(self, policy: LSTM, decision: Decision, last: str, memory: FloatArray, hidden: FloatArray) -> None:
        self.names = f"decision {decision.name}", f"choice {last}", f"head {decision.name}", f"bias {decision.name}"
        name, chosen, head, bias = self.names
        self.read = policy.array(name, (HIDDEN,)) + policy.array(chosen, (HIDDEN,))
        self.inward = policy.array("input", (4 * HIDDEN, HIDDEN))
        self.across = policy.array("recurrent", (4 * HIDDEN, HIDDEN))
        self.before = memory, hidden
        gates = self.inward @ self.read + self.across @ hidden + policy.array("gates", (4 * HIDDEN,))
        enter, forget, new, leave = np.split(gates, 4)
        self.enter, self.forget, self.leave = map(_sigmoid, (enter, forget, leave))
        self.new = np.tanh(new)
        self.memory = self.forget * memory + self.enter * self.new
        self.squashed = np.tanh(self.memory)
        self.hidden = self.leave * self.squashed
        self.head = policy.array(head, (len(decision.options), HIDDEN), zero=True)
        self.chances = _softmax(self.head @ self.hidden + policy.array(bias, (len(decision.options),), zero=True))

    def backward(
        self, logits: FloatArray, to_memory: FloatArray, to_hidden: FloatArray, into: dict[str, FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """Adds this step's gradients; returns those of the memory and hidden state before it."""
        name, chosen, head, bias = self.names
        _add(into, head, np.outer(logits, self.hidden))
        _add(into, bias, logits)
        to_hidden = to_hidden + self.head.T @ logits
        to_memory = to_memory + to_hidden * self.leave * (1 - self.squashed**2)
        gates = np.concatenate(
            [
                to_memory * self.new * self.enter * (1 - self.enter),
                to_memory * self.before[0] * self.forget * (1 - self.forget),
                to_memory * self.enter * (1 - self.new**2),
                to_hidden * self.squashed * self.leave * (1 - self.leave),
            ]
        )
        _add(into, "input", np.outer(gates, self.read))
        _add(into, "recurrent", np.outer(gates, self.before[1]))
        _add(into, "gates", gates)
        for vector in (name, chosen):
            _add(into, vector, self.inward.T @ gates)
        return to_memory * self.forget, self.across.T @ gates


def entropy(chances: Iterable[float]) -> float:
    """The entropy of a distribution, in nats."""
    return -math.fsum(chance * math.log(chance) for chance in chances if chance > 0)


def _softmax(logits: FloatArray) -> FloatArray:
    raised: FloatArray = np.exp(logits - logits.max())
    raised /= raised.sum()
    return raised


def _sigmoid(values: FloatArray) -> FloatArray:
    squashed: FloatArray = 1 / (1 + np.exp(-values))
    return squashed


def _add(into: dict[str, FloatArray], name: str, gradient: FloatArray) -> None:
    into[name] = into[name] + gradient if name in into else gradient
