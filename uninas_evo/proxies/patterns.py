"""Proxies of activation patterns: swap counts them, near takes their rank."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from uninas_evo.proxies._module import Inputs, finite, needs_images, prepare
from uninas_evo.proxies.activations import sign_codes, watch


def swap(
    module: nn.Module, inputs: Inputs | None = None, *, mu: float | None = None, sigma: float | None = None
) -> float:
    """How many different patterns the signs of all units show over the N images; larger is better.

    With `mu` and `sigma` the count is multiplied by exp(−(Θ − μ)² / σ), Θ the parameters, which draws a search to
    networks of that size.
    Source: Peng et al., "SWAP-NAS: Sample-Wise Activation Patterns for Ultra-Fast NAS", ICLR 2024, definitions 3 to 5.
    Deviations: random images instead of data; see `naswot` for which activations are read. N images tell at most 2^N
    patterns apart: networks of many units need 16 and more.
    """
    inputs = inputs or Inputs()
    needs_images(inputs, 2, "swap")
    codes = sign_codes(prepare(module, inputs, training=True), inputs.images(), "swap")
    count = count_patterns(codes)
    if mu is None or sigma is None:
        return float(count)
    theta = sum(p.numel() for p in module.parameters())
    return finite(count * math.exp(-((theta - mu) ** 2) / sigma), "swap")


def count_patterns(codes: list[Tensor]) -> int:
    """How many different columns there are in signs (N, units), given in parts."""
    patterns = np.packbits(torch.cat([code.bool() for code in codes], 1).T.cpu().numpy(), axis=1)  # (units, N / 8)
    return len(np.unique(np.ascontiguousarray(patterns).view(f"V{patterns.shape[1]}")))


def near(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Σ over activations of the effective ranks of their inputs and outputs; larger is better.

    The effective rank is exp(entropy) of the singular values, normalized to sum 1. A map (N, C, H, W) is a matrix of
    N·H·W rows and C columns, of which C neighboring rows are taken at a random place.
    Source: Husistein et al., "NEAR: A Training-Free Pre-Estimator of Machine Learning Model Performance", ICLR 2025;
    Roy & Vetterli, "The Effective Rank", EUSIPCO 2007. Deviations: random images instead of data, one draw; see
    `naswot` for which activations are read.
    """
    inputs = inputs or Inputs()
    needs_images(inputs, 2, "near")
    generator = inputs.generator("rows")
    ranks: list[float] = []

    def see(values: Tensor, run: Callable[[], Tensor]) -> Tensor:
        before = _rows(values).clone()  # some activations work in place
        output = run()
        rows, columns = before.shape
        first = int(torch.randint(max(1, rows - columns + 1), (), generator=generator))
        chosen = slice(first, first + columns)
        ranks.extend(effective_rank(matrix[chosen]) for matrix in (before, _rows(output)))
        return output

    watch(prepare(module, inputs, training=True), inputs.images(), "near", see)
    return finite(sum(ranks), "near")


def effective_rank(matrix: Tensor) -> float:
    """exp(−Σ p log p), p the singular values of a matrix over their sum; 0 for a matrix of zeros."""
    s = torch.linalg.svdvals(matrix.double().cpu())
    total = float(s.sum())
    if total == 0:
        return 0.0
    p = s[s > 0] / total
    return math.exp(-float((p * p.log()).sum()))


def _rows(values: Tensor) -> Tensor:
    """(N, C, H, W), (N, positions, C) or (N, C) as a matrix with C columns."""
    channels_last = values.detach().movedim(1, -1) if values.dim() == 4 else values.detach()
    return channels_last.reshape(-1, channels_last.shape[-1])
