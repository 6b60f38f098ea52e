"""The Fisher information's factors, probes and entropy."""

from __future__ import annotations

import math

import pytest
import torch

from uninas_evo.proxies.spectrum import (
    covariance,
    covariance_factor,
    eigenvalues,
    entropy,
    random_cotangents,
    smoothed_softmax,
)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_factor_of_the_covariance(classes: int) -> None:
    """K − 1 columns suffice: A Aᵀ = diag(p) − p pᵀ, for saturated softmaxes too."""
    logits = torch.randn(6, classes, dtype=torch.float64) * torch.tensor([1, 1, 10, 100, 0, 1]).unsqueeze(1)
    p = smoothed_softmax(logits)
    factor = covariance_factor(p)
    assert factor.shape == (6, classes, classes - 1)
    assert torch.allclose(factor @ factor.mT, covariance(p), atol=1e-12)


def test_a_full_cycle_of_probes_is_exact() -> None:
    """With M = K probes every class is drawn once for each sample, and the estimate of C has no error left."""
    p = smoothed_softmax(torch.randn(4, 5, dtype=torch.float64))
    u = random_cotangents(p, 5, torch.Generator().manual_seed(0))
    assert torch.allclose(torch.einsum("mnk,mnl->nkl", u, u) / 5, covariance(p), atol=1e-12)


def test_classes_are_used_equally_often() -> None:
    """Over samples and probes, counts of the drawn classes differ by at most one."""
    p = torch.full((6, 4), 0.25)
    u = random_cotangents(p, 3, torch.Generator().manual_seed(1))
    counts = torch.bincount(u.argmax(2).flatten(), minlength=4)
    assert counts.max() - counts.min() <= 1


def test_orthogonal_probes_are_unbiased() -> None:
    """With more classes than rows the mean of u uᵀ still is C, within four standard errors."""
    p = smoothed_softmax(torch.randn(1, 12, dtype=torch.float64)).expand(3, 12)
    draws = torch.stack([random_cotangents(p, 2, torch.Generator().manual_seed(seed)) for seed in range(4000)])
    products = torch.einsum("smnk,smnl->smnkl", draws, draws).flatten(0, 2)
    error = products.std(0) / len(products) ** 0.5
    assert ((products.mean(0) - covariance(p)[0]).abs() <= 5 * error + 1e-12).all()


def test_entropy_of_known_spectra() -> None:
    """Equal eigenvalues give log 9, one that dominates all deciles but the last gives less, none gives 0."""
    assert float(entropy(torch.ones(7, dtype=torch.float64))) == pytest.approx(math.log(9))
    assert float(entropy(torch.zeros(7, dtype=torch.float64))) == 0
    two = torch.tensor([0.0, 1.0], dtype=torch.float64)  # deciles 0.1 … 0.9
    q = [k / 45 for k in range(1, 10)]
    assert float(entropy(two)) == pytest.approx(-sum(x * math.log(x) for x in q), abs=1e-8)


def test_eigenvalues_of_degenerate_matrices() -> None:
    """Zero stays zero, tiny scales are divided out, and rounding never gives a negative eigenvalue."""
    v = torch.randn(5, dtype=torch.float64)
    rank_one = torch.outer(v, v)
    stack = torch.stack([torch.zeros(5, 5, dtype=torch.float64), rank_one * 1e-200, rank_one])
    values = eigenvalues(stack)
    assert (values >= 0).all()
    assert values[0].sum() == 0
    assert torch.allclose(values[1:, -1], torch.ones(2, dtype=torch.float64))
