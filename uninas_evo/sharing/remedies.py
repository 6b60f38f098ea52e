"""Against collapse: early stops, limits on skips, slots that are decided one after another.

Sources: DARTS+ (Liang et al., arXiv 1909.06035), P-DARTS (Chen et al., 1904.12760), SGAS (Li et al., 1912.00195).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch

from uninas_evo.sharing.estimators import entropies

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray
    from uninas_evo.sharing.learner import PolicyLearner

SKIPS = ("skip_connect", "zero")
"""Options that leave a place out."""
NONE = "none"
WINDOW = 4
"""Decisions that stability looks back to; SGAS' 4."""
CLOSED = -1e4
"""The logit of an option that was taken out, where its probability is 0 and no decay brings it back."""
DECIDED = 30.0
"""The logit of a decided option, where its probability is 1 to the last digit that matters."""


@dataclass
class Watch:
    """What was seen of a policy.

    Attributes:
        updates: steps that it made.
        still: of these, how many the order of all logits did not change.
        order: of the options of each slot, the last time.
        decided: slots that are decided for good.
        stopped: whether the policy learns no more.
        past: the probabilities at the last decisions.
        sharpness: dominant eigenvalues, the oldest first.
        kept: the logits at the last of these.
    """

    updates: int = 0
    still: int = 0
    order: list[int] = field(default_factory=list)
    decided: list[str] = field(default_factory=list)
    stopped: bool = False
    past: list[dict[str, torch.Tensor]] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)
    kept: list[dict[str, torch.Tensor]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return dict(vars(self))

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` returned."""
        vars(self).update(state)


def look(learner: PolicyLearner) -> None:
    """After a step of the policy: decides a slot, or stops it, where the options ask for it."""
    options, watch = learner.options, learner.watch
    watch.updates += 1
    if options.decide_every and watch.updates % options.decide_every == 0:
        _decide(learner)
    order = [int(index) for value in learner.logits.values() for index in value.detach().argsort(stable=True)]
    watch.still = watch.still + 1 if order == watch.order else 0
    watch.order = order
    if options.stop_still and watch.still >= options.stop_still:
        watch.stopped = True
    if options.stop_skips:
        count = skips(learner.net, learner.derive())
        watch.stopped = watch.stopped or (count is not None and count >= options.stop_skips)


@torch.no_grad()
def _decide(learner: PolicyLearner) -> None:
    """The open slot of greatest importance, certainty and stability gets its best option for good (SGAS, section 3.2).

    Importance is the probability of all options but `none`, certainty one less the normalized entropy, stability the
    mean overlap with the probabilities at the last decisions.
    """
    surest, best = None, 0.0
    entropy = entropies(learner.logits)
    now = {name: value.softmax(-1).clone() for name, value in learner.logits.items()}
    past = learner.watch.past if learner.options.decide_by == "stability" else []
    learner.watch.past = [*learner.watch.past, now][-WINDOW:]
    for slot in learner.net.slots:
        if slot.name in learner.watch.decided:
            continue
        chances = now[slot.name]
        importance = 1 - (float(chances[slot.options.index(NONE)]) if NONE in slot.options else 0.0)
        certainty = 1 - float(entropy[slot.name]) / float(torch.tensor(float(len(slot.options))).log())
        overlaps = [float(torch.minimum(chances, before[slot.name]).sum()) for before in past]
        worth = importance * certainty * (fmean(overlaps) if overlaps else 1.0)
        if surest is None or worth > best:
            surest, best = slot, worth
    if surest is None:
        return
    logits = learner.logits[surest.name]
    open_ones = logits.clone()
    if NONE in surest.options and len(surest.options) > 1:
        open_ones[surest.options.index(NONE)] = -torch.inf
    index = int(open_ones.argmax())
    logits.fill_(0.0)
    logits[index] = DECIDED
    learner.watch.decided.append(surest.name)


@torch.no_grad()
def narrow(learner: PolicyLearner, keep: int, stage: int) -> None:
    """Leaves each slot its most probable options, whose logits begin anew (P-DARTS, section 3.2)."""
    generator = learner.noise_generator(stage, 94)
    for logits in learner.logits.values():
        order = logits.argsort(descending=True, stable=True)
        fresh = learner.options.init * torch.randn(len(logits), generator=generator)
        logits.copy_(fresh.to(logits))
        logits[order[keep:]] = CLOSED


def skips(net: Any, genome: Any) -> int | None:
    """How many places a genome skips (of cells: of the normal one); None where the space has no such option."""
    count = getattr(net, "skips", None)
    return None if count is None else int(count(genome))


def derived(learner: PolicyLearner) -> Any:
    """The genome that the probabilities favor; where it skips too often, its least probable skips are taken out."""
    chances = {name: p.detach().double().cpu().numpy() for name, p in learner.mixture().items()}
    genome = learner.net.derive(chances)
    most = learner.options.max_skips
    if most is None:
        return genome
    for _, name, place in _favored_skips(learner.net, chances):
        if (count := skips(learner.net, genome) or 0) <= most:
            break
        before = chances[name][place]
        chances[name][place] = 0.0
        without = learner.net.derive(chances)
        if (skips(learner.net, without) or 0) < count:
            genome = without
        else:  # a place that does not count, such as one of a reduction cell
            chances[name][place] = before
    return genome


def _favored_skips(net: Any, chances: Mapping[str, FloatArray]) -> list[tuple[float, str, int]]:
    """Probability, slot and place of each skip that its slot favors, the least probable first."""
    found = []
    for slot in net.slots:
        places = [slot.options.index(one) for one in SKIPS if one in slot.options]
        others = [index for index, option in enumerate(slot.options) if option != NONE and index not in places]
        p = chances[slot.name]
        found += [(float(p[place]), slot.name, place) for place in places if all(p[place] >= p[o] for o in others)]
    return sorted(found)
