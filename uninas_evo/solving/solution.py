"""What was found, and one honest sentence about what the search added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from uninas_evo.errors import JournalError
from uninas_evo.formats import duration

SOLUTION = "solution.json"
"""Where it is kept."""


@dataclass(frozen=True)
class Solution:
    """What was found, and what that is worth.

    Attributes:
        network: the folder of the trained network, which `uninas_evo.load` and `uninas-evo export` read.
        onnx: the same network as ONNX.
        page: the search's page.
        chosen: "winner", or "preset" where that has the better validation accuracy.
        accuracy: test accuracy of the network, the mean over its trainings.
        winner_accuracy: of the search's winner; equal to the preset's where nothing better was found.
        preset_accuracy: of the best scaled preset, trained for the same time.
        preset: which one that is.
        gap: the winner's lead over it, in shares of 1.
        gap_low: lower end of the lead's 95 % interval.
        gap_high: its upper end.
        search_s: seconds until the winner was found, the choice of the preset included.
        training_s: seconds of the winner's final training.
        preset_s: seconds that the preset alone took.
        candidates: different networks that were scored.
        sentence: all that in a sentence.
        baseline: the pretrained network that was trained as long, and whether it was fine-tuned; "" for none.
        baseline_accuracy: its test accuracy.
    """

    network: str
    onnx: str
    page: str
    chosen: Literal["winner", "preset"]
    accuracy: float
    winner_accuracy: float
    preset_accuracy: float
    preset: str
    gap: float
    gap_low: float
    gap_high: float
    search_s: float
    training_s: float
    preset_s: float
    candidates: int
    sentence: str
    baseline: str = ""
    baseline_accuracy: float | None = None


def sentence(facts: Mapping[str, Any], seeds: int, same: bool) -> str:
    """What the search added over the best scaled preset, as far as that is known."""
    cost = (
        f"the search took {duration(facts['search_s'])} and the winner's training {duration(facts['training_s'])}, "
        f"{duration(facts['search_s'] + facts['training_s'])} together; the preset alone took "
        f"{duration(facts['preset_s'])}."
    )
    if facts["baseline"]:
        cost += f" {facts['baseline']}, trained as long, reaches {facts['baseline_accuracy']:.2%}."
    preset = f"the best scaled preset ({facts['preset']})"
    if same:
        return f"The search found nothing better than {preset}, which has {facts['preset_accuracy']:.2%}; {cost}"
    accuracies = f"{facts['winner_accuracy']:.2%} against {facts['preset_accuracy']:.2%} of {preset} trained as long"
    gap, low, high = (100 * facts[name] for name in ("gap", "gap_low", "gap_high"))
    interval = f"{gap:+.2f} points of test accuracy [{low:+.2f}, {high:+.2f}]"
    holds = f"95 %, over {seeds} trainings of each" if seeds > 1 else "95 %, over the test images; one training of each"
    if low > 0:
        verdict = f"The search added {interval} ({holds})"
    elif high < 0:
        verdict = f"The search lost {interval} ({holds})"
    else:
        verdict = f"Whether the search added anything is not known: {interval} ({holds})"
    return f"{verdict}: {accuracies}; {cost}"


def read_table(path: Path) -> dict[str, Any]:
    """A table that was written here.

    Raises:
        JournalError: it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise JournalError(f"{path} cannot be read ({error}); remove {path.parent} and begin anew") from None
    if not isinstance(content, dict):
        raise JournalError(f"{path} holds no table; remove {path.parent} and begin anew")
    return content
