"""Estimators against the exact gradient by enumeration: three slots of four options."""

from __future__ import annotations

import itertools

import pytest
import torch

from uninas_evo.contracts import Chosen
from uninas_evo.sharing import estimators as e

SLOTS, OPTIONS, SAMPLES = ("a", "b", "c"), 4, 100_000
GENERATOR = torch.Generator().manual_seed(3)
LOGITS = {name: torch.randn(OPTIONS, generator=GENERATOR, dtype=torch.float64) for name in SLOTS}
TABLE = torch.randn((OPTIONS,) * 3, generator=GENERATOR, dtype=torch.float64)
LINEAR = {name: torch.randn(OPTIONS, generator=GENERATOR, dtype=torch.float64) for name in SLOTS}


def curved(weights):
    """A loss with products of slots, defined for relaxed weights too."""
    a, b, c = (weights[name] for name in SLOTS)
    joint = torch.einsum("...i,...j,...k,ijk->...", a, b, c, TABLE)
    return joint + (0.5 * e.linear(LINEAR, weights)).square()


def exact():
    """The gradient of the expectation, all 64 draws enumerated."""
    logits = {name: value.clone().requires_grad_() for name, value in LOGITS.items()}
    p = {name: value.softmax(-1) for name, value in logits.items()}
    eye = torch.eye(OPTIONS, dtype=torch.float64)
    total = sum(
        p["a"][i] * p["b"][j] * p["c"][k] * curved({"a": eye[i], "b": eye[j], "c": eye[k]})
        for i, j, k in itertools.product(range(OPTIONS), repeat=3)
    )
    total.backward()
    return torch.stack([logits[name].grad for name in SLOTS])


def gradients(estimator, samples=SAMPLES, seed=0):
    """(samples, slots, options): an estimate for each draw."""
    logits = {name: value.expand(samples, -1).clone().requires_grad_() for name, value in LOGITS.items()}
    u = e.noise(logits, torch.Generator().manual_seed(seed))
    (samples * estimator(logits, u)).backward()
    return torch.stack([logits[name].grad for name in SLOTS], 1)


UNBIASED = {
    "reinforce": lambda logits, u: e.reinforce(logits, u, curved, 0.7),
    "rebar": lambda logits, u: e.rebar(logits, u, curved, 0.4),
    "rebar, hot": lambda logits, u: e.rebar(logits, u, curved, 1.0),
    "relax": lambda logits, u: e.relax(logits, u, curved, lambda w: e.linear(LINEAR, w)),
    "exact_linear": lambda logits, u: e.exact_linear(logits, u, curved, LINEAR),
}


@pytest.mark.parametrize("name", UNBIASED)
def test_unbiased(name):
    """The mean estimate is the exact gradient within four standard errors in every coordinate."""
    found = gradients(UNBIASED[name])
    error = found.std(0) / SAMPLES**0.5
    assert ((found.mean(0) - exact()).abs() <= 4 * error + 1e-12).all()


@pytest.mark.parametrize("estimator", [e.rebar, e.reinforce])
def test_one_loss_of_a_batch_of_draws_is_unbiased(estimator):
    """A loss () of N draws together, such as |the mean of a batch|, weighs the log-probability of all of them."""
    draws, count = 2, 4000
    logits = {"a": LOGITS["a"].clone().requires_grad_()}
    table, eye = TABLE[0, 0], torch.eye(OPTIONS, dtype=torch.float64)

    def loss(weights):
        return ((weights["a"] * table).sum(-1).mean() - 0.3).abs()

    p = logits["a"].softmax(-1)
    both = itertools.product(range(OPTIONS), repeat=draws)
    expected = sum(p[i] * p[j] * loss({"a": eye[[i, j]]}) for i, j in both)
    (true,) = torch.autograd.grad(expected, logits["a"])
    generator = torch.Generator().manual_seed(8)
    found = torch.stack(
        [
            torch.autograd.grad(estimator(logits, e.noise(logits, generator, draws), loss), logits["a"])[0]
            for _ in range(count)
        ]
    )
    assert ((found.mean(0) - true).abs() <= 4 * found.std(0) / count**0.5).all()


@pytest.mark.parametrize("estimator", [e.gumbel_softmax, e.straight_through])
def test_relaxations_are_biased(estimator):
    """Gumbel-softmax and straight-through differ from the exact gradient by far more than noise explains."""
    true = exact()
    bias = [
        float((gradients(lambda a, u, t=t: estimator(a, u, curved, t)).mean(0) - true).norm() / true.norm())
        for t in (0.4, 1.0)
    ]
    assert 0.02 < bias[0] < bias[1] < 1


def test_rebar_varies_less_and_ignores_constants():
    """REBAR's variance is below REINFORCE's at 0.4, and a constant in the loss changes only REINFORCE's."""

    def variance(estimator):
        return float(gradients(estimator, 20_000).var(0).sum())

    def shifted(weights):
        return curved(weights) + 2.3

    plain = variance(lambda a, u: e.reinforce(a, u, curved))
    moved = variance(lambda a, u: e.reinforce(a, u, shifted))
    rebar = variance(lambda a, u: e.rebar(a, u, curved))
    assert rebar < plain < moved
    assert variance(lambda a, u: e.rebar(a, u, shifted)) == pytest.approx(rebar, rel=1e-9)


def test_exact_linear_is_exact_for_linear_losses():
    """A loss that G explains whole leaves no variance."""

    def loss(weights):
        return e.linear(LINEAR, weights)

    found = gradients(lambda logits, u: e.exact_linear(logits, u, loss, LINEAR), 1000)
    assert float(found.var(0).sum()) < 1e-20


def test_the_conditional_relaxation_has_the_same_value():
    """ζ̃ equals ζ where the noise given z is the noise that gave z."""
    u = e.noise({"a": LOGITS["a"].expand(1000, -1)}, torch.Generator().manual_seed(1))["a"]
    draw = e.relaxed(LOGITS["a"], u, 0.4)
    torch.testing.assert_close(draw.soft, draw.conditional, rtol=1e-6, atol=1e-9)
    assert torch.equal(draw.soft.argmax(-1), draw.hard.argmax(-1))


def test_draws_follow_the_probabilities():
    """Options are drawn as often as softmax says."""
    u = e.noise({"a": LOGITS["a"].expand(SAMPLES, -1)}, torch.Generator().manual_seed(2))["a"]
    shares = e.relaxed(LOGITS["a"], u, 1.0).hard.mean(0)
    torch.testing.assert_close(shares, LOGITS["a"].softmax(-1), rtol=0, atol=0.01)


def test_gdas_choice():
    """The weight is 1, and its derivative that of the relaxed probability of the option that runs."""
    logits = LOGITS["a"].clone().requires_grad_()
    u = e.noise({"a": logits}, torch.Generator().manual_seed(4))["a"]
    option, weight = e.gdas_choice(logits, u, 0.7)
    soft = e.relaxed(logits, u, 0.7).soft[option]
    assert isinstance(e.gdas_choice(logits, u, 0.7), Chosen)
    assert weight.item() == pytest.approx(1)
    assert torch.equal(*(torch.autograd.grad(x, logits)[0] for x in (weight, soft)))


def test_gate_gradient_is_autograds():
    """ProxylessNAS' formula is autograd through Σ g_j o_j with g = softmax(α)."""
    alpha = LOGITS["b"].clone().requires_grad_()
    outputs = torch.randn(OPTIONS, dtype=torch.float64)
    (alpha.softmax(-1) * outputs).sum().backward()
    torch.testing.assert_close(e.gate_gradient(LOGITS["b"], outputs), alpha.grad)


def test_entropy_of_a_uniform_slot():
    """A slot of equal logits has entropy ln K."""
    assert e.entropies({"a": torch.zeros(4)})["a"].item() == pytest.approx(1.3862943611)
