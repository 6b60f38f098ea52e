"""The Fisher information of a softmax classifier: its factors, its random probes, the entropy of its spectrum."""

from __future__ import annotations

import torch
from torch import Tensor

SMOOTHING = 0.05  # of the softmax, as in the authors' code; a saturated softmax would destroy the score
DECILES = tuple(k / 10 for k in range(1, 10))
TINY = 1e-10  # keeps log and division finite, as in the authors' code


def smoothed_softmax(logits: Tensor) -> Tensor:
    """Class probabilities (N, K) of logits (N, K), mixed with the uniform distribution by 0.05."""
    return logits.softmax(1) * (1 - SMOOTHING) + SMOOTHING / logits.shape[1]


def covariance(p: Tensor) -> Tensor:
    """C = diag(p) − ppᵀ, (N, K, K), the covariance of a class drawn from p (N, K)."""
    return torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)


def covariance_factor(p: Tensor) -> Tensor:
    """A (N, K, K − 1) with A Aᵀ = C: all of C's rank in K − 1 cotangents.

    C = D (I − √p √pᵀ) D with D = diag(√p), and the last K − 1 columns of the Householder reflection that takes √p to
    the first axis are a basis of √p's complement.
    """
    root = p.sqrt()
    v = root.clone()
    v[:, 0] += 1
    reflection = torch.eye(p.shape[1], dtype=p.dtype, device=p.device) - 2 * v.unsqueeze(2) * v.unsqueeze(
        1
    ) / v.square().sum(1).view(-1, 1, 1)
    return root.unsqueeze(2) * reflection[:, :, 1:]


def random_cotangents(p: Tensor, probes: int, generator: torch.Generator) -> Tensor:
    """Random u (M, N, K) with E[u uᵀ] = C for each sample, so that rows uᵀJ estimate the Fisher information.

    Stratified: u = √(K p_k) (e_k − p), the class k cycled over samples and probes so that each is used equally often.
    With more classes than rows N·M no cycle is full; then u = D (I − √p √pᵀ) z with z orthogonal over all rows.
    """
    n, classes = p.shape
    rows = n * probes
    if classes > rows:
        normal = torch.randn(classes, rows, generator=generator, dtype=torch.float64)
        z: Tensor = (torch.linalg.qr(normal).Q.T * classes**0.5).view(probes, n, classes).to(p)
        root = p.sqrt()
        return root * (z - root * (z * root).sum(2, keepdim=True))
    order = torch.randperm(classes, generator=generator)
    chosen = order[torch.arange(rows) % classes].view(n, probes).T.to(p.device)  # (M, N)
    unit = torch.nn.functional.one_hot(chosen, classes).to(p)
    p_chosen = p.expand(probes, n, classes).gather(2, chosen.unsqueeze(2))
    return (classes * p_chosen).sqrt() * (unit - p)


def eigenvalues(fisher: Tensor) -> Tensor:
    """Ascending eigenvalues (..., P) of Fisher matrices (..., P, P) divided by their trace; 0 for a zero matrix.

    In float64 on the CPU: in float32 the solver fails to converge at times.
    """
    fisher = fisher.double().cpu()
    trace = fisher.diagonal(dim1=-2, dim2=-1).sum(-1)
    values: Tensor = torch.linalg.eigvalsh(fisher / trace.clamp_min(1e-300)[..., None, None])
    return values.clamp_min(0)


def entropy(spectrum: Tensor) -> Tensor:
    """Entropy (...) of the eigenvalues' deciles 0.1 … 0.9, normalized to sum 1; between 0 and log 9.

    The score of Tybl & Neumann, CVPR 2025; 0 where all deciles vanish.
    """
    deciles = torch.quantile(spectrum, torch.tensor(DECILES, dtype=spectrum.dtype), dim=-1)
    q = deciles / (deciles.sum(0) + TINY)
    return -(q * (q + TINY).log()).sum(0)
