"""A genome of a fixed list of decisions."""

from __future__ import annotations


class Choices(tuple[int, ...]):
    """For each decision of a `ChoiceSpace`, in its order, the index of the option that was chosen: immutable."""

    __slots__ = ()

    def replaced(self, position: int, index: int) -> tuple[int, ...]:
        """The indices with another one at a position."""
        return (*self[:position], index, *self[position + 1 :])
