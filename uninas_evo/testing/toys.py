"""A space and a problem that cost nothing, to test strategies and pools on."""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pydantic

from uninas_evo.contracts import Ancestor, Budget, Cost, Decision, Objective, Problem
from uninas_evo.spaces.choices import Choices, ChoiceSpace

if TYPE_CHECKING:
    from torch import nn


class Bits(ChoiceSpace):
    """Tuples of bits, begun at 0 1 0 1 ...; their sum is the number of parameters and FLOPs."""

    form = "bits 1"

    def __init__(self, length: int = 16, budget: Budget | None = None) -> None:
        decisions = (Decision(f"bit_{index}", ("0", "1")) for index in range(length))
        super().__init__(decisions, (1, 1, 1), 1, budget, Choices((0, 1) * (length // 2)))

    def cost(self, genome: Choices) -> Cost:
        """A parameter and a FLOP for each one."""
        return Cost(sum(genome), sum(genome))

    def build(self, genome: Choices) -> nn.Module:
        """The pixel of an image, multiplied by the sum of the parameters."""
        import torch
        from torch import nn

        class Scale(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.weight = nn.Parameter(torch.ones(sum(genome)))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x.flatten(1) * self.weight.sum()

        return Scale()


def rugged(text: str) -> float:
    """A number from 0 to 1 that differs from text to text, the same in every process."""
    return zlib.crc32(text.encode()) / 2**32


class BitsOptions(pydantic.BaseModel):
    """The options of `BitsProblem`."""

    model_config = pydantic.ConfigDict(extra="forbid")
    accident: Literal["none", "raise", "nan"] = pydantic.Field(
        "none", description="what befalls genomes that begin with 1, for tests of failures"
    )


class BitsProblem(Problem):
    """The number of ones, with noise that genome and seed fix.

    Args:
        seed: of the noise.
        accident: what befalls genomes whose first bit is 1.
    """

    Options = BitsOptions
    objectives = (Objective("ones", "maximize"),)

    def __init__(self, seed: int = 0, accident: Literal["none", "raise", "nan"] = "none") -> None:
        self.space, self.seed, self.accident = Bits(), seed, accident

    @classmethod
    def from_options(cls, options: Any, seed: int) -> BitsProblem:
        """The problem of a run file."""
        return cls(seed, options.accident)

    def evaluate(
        self, genome: Choices, device: str, *, fidelity: int | None = None, lineage: Sequence[Ancestor] = ()
    ) -> Mapping[str, float]:
        """The ones and a normal noise of standard deviation 0.1."""
        if genome[0] and self.accident == "raise":
            raise ValueError("the first bit is set")
        noise = random.Random(f"{self.seed} {self.space.encode(genome)}").gauss(0, 0.1)
        return {"ones": float("nan") if genome[0] and self.accident == "nan" else sum(genome) + noise}
