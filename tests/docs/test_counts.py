"""What README says of the registry is what is installed."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
NUMBERS = ("Fifteen", "Sixteen", "Seventeen", "Eighteen", "Nineteen", "Twenty", "Twenty-one", "Twenty-two")


def ours(group: str) -> set[str]:
    return {point.name for point in entry_points(group=group) if point.value.startswith("uninas_evo.")}


def test_the_number_of_strategies_and_their_names() -> None:
    """The number in words, and a row for each."""
    names = ours("uninas_evo.strategies")
    assert f"{NUMBERS[len(names) - 15]} strategies" in README
    table = README[README.index("## Strategies") : README.index("## What was measured")]
    assert names <= set(re.findall(r"`([a-z0-9_]+)`", table))


def test_the_names_of_the_problems() -> None:
    """Every problem is named."""
    assert ours("uninas_evo.problems") <= set(re.findall(r"`([a-z0-9_]+)`", README))
