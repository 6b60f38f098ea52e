"""What earlier runs found, for strategies that begin where those ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uninas_evo.contracts import Objective, Space
from uninas_evo.errors import GenomeError, StrategyError
from uninas_evo.files import parse_json


def past_results(
    folders: Sequence[Path], space: Space[Any], objectives: Sequence[Objective]
) -> Iterator[tuple[Any, Mapping[str, float]]]:
    """Genomes with the values that run folders hold for all objectives, at the full fidelity, in their order.

    Genomes of another space or outside the budget, and failures, are left out.

    Raises:
        StrategyError: a folder has no journal that can be read, or nothing of use in it.
    """
    wanted = {objective.name for objective in objectives}
    for folder in folders:
        found = 0
        for text, values in _scored(folder / "journal.jsonl"):
            try:
                genome = space.decode(text)
            except GenomeError:
                continue
            if wanted <= values.keys() and space.budget.admits(space.cost(genome)):
                found += 1
                yield genome, values
        if not found:
            raise StrategyError(
                f"start_from must name run folders with results of this space for {', '.join(sorted(wanted))} inside "
                f"the budget, got {str(folder)!r}, which has none; give a run of the same objectives"
            )


def past_genomes(folders: Sequence[Path], space: Space[Any]) -> Iterator[Any]:
    """Genomes that run folders asked for, in their order, but those of another space or outside the budget.

    Raises:
        StrategyError: a folder has no journal that can be read, or no genome of this space.
    """
    found: dict[Any, None] = {}
    for folder in folders:
        before = len(found)
        for event in _events(folder / "journal.jsonl"):
            if event.get("event") != "ask" or not event.get("genome"):
                continue
            try:
                genome = space.decode(str(event["genome"]))
            except GenomeError:
                continue
            if space.budget.admits(space.cost(genome)):
                found[genome] = None
        if len(found) == before:
            raise StrategyError(
                f"start_from must name run folders with genomes of this space inside the budget, got {str(folder)!r}, "
                f"which has none that are new; give a run of the same space"
            )
    return iter(found)


def _scored(journal: Path) -> Iterator[tuple[str, Mapping[str, float]]]:
    asks: dict[int, str] = {}
    for event in _events(journal):
        try:
            if event["event"] == "ask" and event.get("genome") and event.get("fidelity") is None:
                asks[event["number"]] = str(event["genome"])
            text = asks[event["number"]] if event["event"] == "result" else ""
            values = {name: float(value) for name, value in (event.get("values") or {}).items()} if text else {}
        except (ValueError, TypeError, LookupError, AttributeError):
            continue  # none that a run wrote
        if values:
            yield text, values


def _events(journal: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = journal.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StrategyError(f"start_from must name run folders; {journal} cannot be read: {error}") from None
    for line in lines:
        try:
            event = parse_json(line)
        except (ValueError, RecursionError):
            continue  # a torn last line
        if isinstance(event, dict):
            yield event
