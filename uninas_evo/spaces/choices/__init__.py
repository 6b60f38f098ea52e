"""Spaces of a fixed list of decisions: a subclass gives decisions, cost and network, and has everything else.

`OwnSpace` is made of a table of choices and functions; `uninas_evo.choices` makes one.
"""

from uninas_evo.spaces.choices.genome import Choices
from uninas_evo.spaces.choices.own import Chosen, OwnSpace, Real, Table, Whole
from uninas_evo.spaces.choices.space import ENUMERABLE, ChoiceSpace

__all__ = ["ENUMERABLE", "ChoiceSpace", "Choices", "Chosen", "OwnSpace", "Real", "Table", "Whole"]
