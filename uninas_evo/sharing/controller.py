"""ENAS' controller: an LSTM that chooses one slot after another.

Source: Pham et al., "ENAS", ICML 2018, arXiv 1802.03268, in the size of NAS-Bench-201's authors (arXiv 2001.00326).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from uninas_evo.contracts import Decision

UNITS, LAYERS = 32, 2
"""The benchmark's LSTM."""
TEMPERATURE, BOUND = 5.0, 2.5
"""Logits are 2.5·tanh(logits / 5), so that no option dies early."""
RANGE = 0.1
"""First weights are uniform in ±0.1."""


class Draw(NamedTuple):
    """A genome of the controller.

    Attributes:
        hard: one-hot (options,) for each slot.
        log_prob: of all choices, ().
        entropy: of all slots' distributions, summed, ().
    """

    hard: dict[str, Tensor]
    log_prob: Tensor
    entropy: Tensor


class Controller(nn.Module):
    """Reads the embedding of the last choice and gives logits of the next slot.

    Args:
        slots: in the order in which they are chosen.
        generator: of the first weights.
    """

    def __init__(self, slots: Sequence[Decision], generator: torch.Generator) -> None:
        super().__init__()
        self.names = [slot.name for slot in slots]
        self.first = nn.Parameter(torch.empty(UNITS))
        self.lstm = nn.LSTM(UNITS, UNITS, LAYERS)
        self.embeddings = nn.ModuleList(nn.Embedding(len(slot.options), UNITS) for slot in slots[:-1])
        self.heads = nn.ModuleList(nn.Linear(UNITS, len(slot.options)) for slot in slots)
        with torch.no_grad():
            for value in self.parameters():
                value.copy_((2 * torch.rand(value.shape, generator=generator) - 1) * RANGE)

    def forward(self, noise: Mapping[str, Tensor] | None) -> Draw:
        """A draw by uniform noise (options,) for each slot; the most probable option of each in turn without it."""
        read, state = self.first, None
        hard: dict[str, Tensor] = {}
        log_prob = entropy = torch.zeros((), dtype=torch.float64)
        for place, (name, head) in enumerate(zip(self.names, self.heads, strict=True)):
            output, state = self.lstm(read.view(1, 1, UNITS), state)
            logits = BOUND * torch.tanh(head(output.view(UNITS)) / TEMPERATURE)
            log_p = logits.double().log_softmax(-1)
            scores = log_p.detach()
            if noise is not None:
                scores = scores - (-noise[name].to(scores).log()).log()
            index = scores.argmax()
            hard[name] = nn.functional.one_hot(index, len(log_p)).double()
            log_prob = log_prob + log_p[index]
            entropy = entropy - (log_p.exp() * log_p).sum()
            if place < len(self.embeddings):
                read = self.embeddings[place](index)
        return Draw(hard, log_prob, entropy)
