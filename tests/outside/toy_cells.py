"""A space from outside, in one file: cells of three edges between an input, a node and an output."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from uninas_evo.contracts import Budget, Cost, Decision
from uninas_evo.spaces.choices import Choices, ChoiceSpace
from uninas_evo.spaces.choices.text import read_settings
from uninas_evo.spaces.load import SpaceEntry

OPERATIONS = ("none", "skip", "conv1", "conv3")
EDGES = ((0, 1), (0, 2), (1, 2))


class ToyCells(ChoiceSpace):
    """A stem, `cells` copies of the cell, and a classifier, all of `width` channels."""

    form = "toycells 1"

    def __init__(self, width: int = 4, cells: int = 2, budget: Budget | None = None) -> None:
        self.width, self.cells = width, cells
        edges = [Decision(f"edge_{a}_{b}", OPERATIONS) for a, b in EDGES]
        super().__init__([*edges, Decision("bias", ("no", "yes"), ordered=True)], (3, 8, 8), 10, budget)

    def settings(self) -> dict[str, str]:
        return {**super().settings(), "width": str(self.width), "cells": str(self.cells)}

    def canonical(self, genome: Choices) -> Choices:
        """A node without input makes its outgoing edge nothing."""
        first, direct, second, bias = genome
        return Choices((0, direct, 0, bias) if 0 in (first, second) else genome)

    def cost(self, genome: Choices) -> Cost:
        c, positions = self.width, 64
        weights = sum({"conv1": c * c, "conv3": 9 * c * c}.get(OPERATIONS[i], 0) for i in genome[:3]) * self.cells
        params = weights + 3 * c + 10 * c + 10 * genome[3]
        return Cost(params, 2 * positions * (weights + 3 * c) + 20 * c)

    def build(self, genome: Choices) -> nn.Module:
        cells = (Cell(genome, self.width) for _ in range(self.cells))
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(
            nn.Conv2d(3, self.width, 1, bias=False), *cells, pool, nn.Linear(self.width, 10, bias=bool(genome[3]))
        )


class Cell(nn.Module):
    def __init__(self, genome: Choices, width: int) -> None:
        super().__init__()
        sizes = {"conv1": 1, "conv3": 3}
        names = [OPERATIONS[index] for index in genome[:3]]
        self.kinds = names
        self.edges = nn.ModuleList(
            nn.Conv2d(width, width, sizes[name], padding=sizes[name] // 2, bias=False)
            if name in sizes
            else nn.Identity()
            for name in names
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        nodes = {0: x, 1: torch.zeros_like(x), 2: torch.zeros_like(x)}
        for (a, b), kind, edge in zip(EDGES, self.kinds, self.edges, strict=True):
            if kind != "none":
                nodes[b] = nodes[b] + edge(nodes[a])
        return nodes[2]


def load(source: str) -> tuple[ToyCells, Any]:
    if source == "toy_convs":
        space = ToyCells()
        return space, Choices((3, 3, 3, 1))
    settings = read_settings(source)
    space = ToyCells(int(settings.get("width", 4)), int(settings.get("cells", 2)))
    return space, space.decode(source)


ENTRY = SpaceEntry(begins=("toycells 1",), load=load, presets=("toy_convs",))
