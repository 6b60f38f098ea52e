"""A decision: one question that composing a genome asks, with everything it can be answered by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice among named options.

    Attributes:
        name: what is decided; the options of a name never change.
        options: at least one text, no two alike.
        ordered: whether neighbors in `options` are alike, as widths and depths are and kinds of operations are not.
    """

    name: str
    options: tuple[str, ...]
    ordered: bool = False


Choose = Callable[[Decision], str]
"""Answers a decision with one of its options: the one way in for everything that samples.

A random generator, an Optuna trial, a policy and a supernet's path all answer the same calls.
"""
