"""The sharpness of a policy's loss: the dominant eigenvalue of its Hessian by the logits.

Source: Zela et al., "RobustDARTS", ICLR 2020, arXiv 1909.09656, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ITERATIONS = 10
"""Of the power method; the value, not the vector, is wanted."""


def dominant_eigenvalue(
    loss: Tensor, logits: Sequence[Tensor], generator: torch.Generator, iterations: int = ITERATIONS
) -> float:
    """The eigenvalue of greatest magnitude of the Hessian of a loss (), by the power method on Hessian products.

    Args:
        loss: with a graph that can be differentiated twice.
        logits: what the Hessian is by.
        generator: of the first vector.
        iterations: Hessian products.
    """
    gradient = _flat(torch.autograd.grad(loss, logits, create_graph=True, allow_unused=True), logits)
    vector = torch.randn(len(gradient), generator=generator).to(gradient)
    vector, value = vector / vector.norm(), 0.0
    for _ in range(iterations):
        product = _flat(torch.autograd.grad(gradient @ vector, logits, retain_graph=True, allow_unused=True), logits)
        value, norm = float(vector @ product), product.norm()
        if not norm:
            break
        vector = product / norm
    return value


def _flat(parts: Sequence[Tensor | None], logits: Sequence[Tensor]) -> Tensor:
    return torch.cat(
        [torch.zeros_like(a).flatten() if p is None else p.flatten() for p, a in zip(parts, logits, strict=True)]
    )
