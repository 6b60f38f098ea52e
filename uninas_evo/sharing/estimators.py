"""Estimators of the gradient of E[loss(z)] by the logits of a factorized distribution; pure functions, no networks.

A distribution has logits for each slot, by name: (options,), or (N, options) for N independent draws. z is a one-hot
draw. Each estimator returns a surrogate loss whose gradient by the logits is the estimate; draws are summed over their
slots and averaged over N. A loss () of N draws is one of all of them together, such as the mean over a batch.

Sources: REBAR (Tucker et al., arXiv 1703.07370), RELAX (Grathwohl et al., 1711.00123), as in UNAS (1912.07651); GDAS
(1910.04465); ProxylessNAS (1812.00332).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from uninas_evo.contracts import Chosen

Slots = Mapping[str, Tensor]
"""A tensor (options,) or (N, options) for each slot."""
Loss = Callable[[Slots], Tensor]
"""Gives a loss (), or (N,), of weights for each slot."""

EDGE = 1e-12
"""Uniform noise keeps so far from 0 and 1, where logarithms end."""


class Relaxed(NamedTuple):
    """A draw of one slot, all (..., options).

    Attributes:
        hard: one-hot z.
        soft: its relaxation at a temperature.
        conditional: the relaxation with the noise given z; equal to `soft` in value, with another derivative.
    """

    hard: Tensor
    soft: Tensor
    conditional: Tensor


def noise(shape: Slots, generator: torch.Generator, rows: int = 0) -> dict[str, Tensor]:
    """Uniform noise in float64 for each slot, (options,) or (rows, options)."""
    found = {}
    for name, logits in shape.items():
        size = (rows, logits.shape[-1]) if rows else tuple(logits.shape)
        draw = torch.rand(size, generator=generator, dtype=torch.float64)
        found[name] = draw.clamp(EDGE, 1 - EDGE).to(logits.device)
    return found


def relaxed(logits: Tensor, u: Tensor, temperature: float) -> Relaxed:
    """The Gumbel-softmax draw of a slot and its conditional relaxation (UNAS, appendix A)."""
    log_p = logits.double().log_softmax(-1).expand_as(u)
    scores = log_p - (-u.log()).log()
    hard = torch.nn.functional.one_hot(scores.argmax(-1), u.shape[-1]).to(u.dtype)
    p = log_p.exp()
    with torch.no_grad():  # the noise given z is uniform and held constant
        log_vk = ((u.log() / p) * hard).sum(-1, keepdim=True)
        log_v = torch.where(hard > 0, log_vk, u.log() - p * log_vk)
        chosen = -((-log_vk).log())
    others = -((-log_v / p - log_vk).log())
    given = torch.where(hard > 0, chosen.expand_as(others), others)
    return Relaxed(hard, (scores / temperature).softmax(-1), (given / temperature).softmax(-1))


def log_prob(logits: Slots, hard: Slots) -> Tensor:
    """Log-probability of z, () or (N,)."""
    return _total([(hard[name] * logits[name].double().log_softmax(-1)).sum(-1) for name in logits])


def entropies(logits: Slots) -> dict[str, Tensor]:
    """The entropy of each slot in nats."""
    log_p = {name: value.log_softmax(-1) for name, value in logits.items()}
    return {name: -(value.exp() * value).sum(-1) for name, value in log_p.items()}


def reinforce(logits: Slots, u: Slots, loss: Loss, baseline: float = 0.0) -> Tensor:
    """(loss(z) − b)·log p(z)."""
    hard = {name: relaxed(logits[name].detach(), u[name], 1.0).hard for name in logits}
    with torch.no_grad():
        value = loss(hard) - baseline
    return _weighed(value, log_prob(logits, hard))


def rebar(logits: Slots, u: Slots, loss: Loss, temperature: float = 0.4) -> Tensor:
    """(loss(z) − loss(ζ))·log p(z) + loss(ζ) along ζ − ζ̃: unbiased at any temperature (UNAS, equation 6).

    One pass with z without a graph and one with ζ.
    """
    drawn = {name: relaxed(logits[name], u[name], temperature) for name in logits}
    soft = loss({name: d.soft - d.conditional + d.conditional.detach() for name, d in drawn.items()})
    hard = {name: d.hard for name, d in drawn.items()}
    with torch.no_grad():
        difference = loss(hard) - soft.detach()
    return _weighed(difference, log_prob(logits, hard)) + soft.mean()


def relax(logits: Slots, u: Slots, loss: Loss, surrogate: Loss, temperature: float = 0.4) -> Tensor:
    """For a loss without derivative: (loss(z) − G(ζ))·log p(z) + G(ζ) − G(ζ̃), G differentiable.

    A wrong G costs variance, never bias. UNAS' equation 5 prints the differentiable loss in the first term; the one
    without derivative is meant.
    """
    drawn = {name: relaxed(logits[name], u[name], temperature) for name in logits}
    hard = {name: d.hard for name, d in drawn.items()}
    soft, conditional = (surrogate({name: d[k] for name, d in drawn.items()}) for k in (1, 2))
    with torch.no_grad():
        difference = loss(hard) - soft
    return _weighed(difference, log_prob(logits, hard)) + (soft - conditional).mean()


def exact_linear(logits: Slots, u: Slots, loss: Loss, coefficients: Slots) -> Tensor:
    """(loss(z) − G(z))·log p(z) + E[G] for a linear G = Σ coefficients·z, whose expectation is exact.

    Nothing is relaxed, so that its variance is that of what G leaves unexplained.
    """
    hard = {name: relaxed(logits[name].detach(), u[name], 1.0).hard for name in logits}
    with torch.no_grad():
        difference = loss(hard) - linear(coefficients, hard)
    expected = linear(coefficients, {name: value.double().softmax(-1) for name, value in logits.items()})
    return _weighed(difference, log_prob(logits, hard)) + expected.mean()


def linear(coefficients: Slots, weights: Slots) -> Tensor:
    """Σ over slots of coefficients (options,) · weights (..., options)."""
    return _total([(coefficients[name] * weights[name]).sum(-1) for name in coefficients])


def gumbel_softmax(logits: Slots, u: Slots, loss: Loss, temperature: float) -> Tensor:
    """loss(ζ): biased, of low variance (SNAS, arXiv 1812.09926)."""
    return loss({name: relaxed(logits[name], u[name], temperature).soft for name in logits}).mean()


def straight_through(logits: Slots, u: Slots, loss: Loss, temperature: float) -> Tensor:
    """loss(z) with the derivative at ζ; all options run, unlike in `gdas_choice`."""
    drawn = {name: relaxed(logits[name], u[name], temperature) for name in logits}
    return loss({name: d.hard + d.soft - d.soft.detach() for name, d in drawn.items()}).mean()


def gdas_choice(logits: Tensor, u: Tensor, temperature: float) -> Chosen:
    """GDAS' choice of a slot (options,): the option that runs, times a weight of 1 with the derivative of p̃_k.

    As in the authors' later program, options that do not run have no part in it (arXiv 1910.04465, equation 7).
    """
    soft = relaxed(logits, u, temperature).soft
    option = int((logits.detach().double().log_softmax(-1) - (-u.log()).log()).argmax())
    weight = 1 - soft[option].detach() + soft[option]
    return Chosen(option, weight.to(logits.dtype))


def gate_gradient(logits: Tensor, gates: Tensor) -> Tensor:
    """dL/dα_i = Σ_j dL/dg_j·p_j(δ_ij − p_i) of gates' gradients (options,) (ProxylessNAS, equation 4)."""
    p = logits.softmax(-1)
    return p * (gates - (gates * p).sum(-1, keepdim=True))


def _weighed(value: Tensor, log_p: Tensor) -> Tensor:
    """value·log p (): the mean over N values of N draws; one value of N draws weighs the log-probability of all."""
    return (value * log_p).mean() if value.dim() else value * log_p.sum()


def _total(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
