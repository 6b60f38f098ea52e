"""Spaces of a fixed list of decisions: a subclass gives decisions, cost and network, and has everything else."""

from uninas_evo.spaces.choices.genome import Choices
from uninas_evo.spaces.choices.space import ENUMERABLE, ChoiceSpace

__all__ = ["ENUMERABLE", "ChoiceSpace", "Choices"]
