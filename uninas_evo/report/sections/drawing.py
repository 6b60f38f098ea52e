"""The winner beside the network that the search began at."""

from __future__ import annotations

from typing import Any

from uninas_evo.drawing import titled_parts, widget
from uninas_evo.drawing.sketch import Sketch, sketched
from uninas_evo.report.run import Run, space_of
from uninas_evo.spaces import uninas, uninet
from uninas_evo.spaces.uninas.reduce import neutral

MAX_NODES = 2000
"""Nodes that the page draws; a larger network fills a page of its own (`uninas-evo draw`)."""


def drawing(run: Run) -> str:
    """The winner beside the start network, what differs marked."""
    if run.winner is None:
        return ""
    best = _drawn(run.record.genomes[run.winner])
    if best is None:
        return ""
    start = run.start or _drawn(run.history.text(run.line[0].number))
    title = f"winner: candidate {run.record.numbers[run.winner]}"
    if _nodes(best) > MAX_NODES:
        return f"<h2>The winner</h2><p>It has {_nodes(best)} nodes: draw it with <code>uninas-evo draw</code>.</p>"
    if start is None or start == best or not _alike(start, best) or _nodes(start) > MAX_NODES:
        return f"<h2>The winner</h2>{_neutral(best)}{widget(titled_parts(best, title, None, ''))}"
    first = "start" if run.start else f"its first ancestor: candidate {run.line[0].number}"
    return f"<h2>The winner beside the start</h2>{_neutral(best)}{widget(titled_parts(start, first, best, title))}"


def _neutral(genome: uninas.Genome | uninet.Genome | Sketch) -> str:
    """What a trained winner could do without, and how it is left out."""
    found = neutral(genome) if isinstance(genome, uninas.Genome) else {}
    if not found:
        return ""
    named = ", ".join(f"{count} {name}" for name, count in found.items())
    return (
        f'<p class="note">Without effect once the network is trained: {named}; '
        f"<code>uninas-evo convert winner.txt --to text --trim</code> leaves that out.</p>"
    )


def _drawn(text: str) -> Any:
    """The genome of a text; None where its space has no drawings."""
    found = space_of(text)
    drawn = None if found is None else sketched(*found)
    return drawn if isinstance(drawn, uninas.Genome | uninet.Genome | Sketch) else None


def _alike(a: Any, b: Any) -> bool:
    """Whether two networks can be drawn side by side."""
    return type(a) is type(b) and getattr(a, "skeleton", None) == getattr(b, "skeleton", None)


def _nodes(genome: uninas.Genome | uninet.Genome | Sketch) -> int:
    """How many nodes a drawing has; equal blocks of UniNet are drawn once."""
    return len(genome) if isinstance(genome, uninas.Genome) else 0
