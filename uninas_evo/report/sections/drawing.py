"""The winner beside the network that the search began at."""

from __future__ import annotations

from uninas_evo.draw import titled_parts, widget
from uninas_evo.errors import GenomeError
from uninas_evo.report.run import Run
from uninas_evo.spaces.uninas import Genome, load_genome
from uninas_evo.spaces.uninas.genome import TEXT_HEADER

MAX_NODES = 2000
"""Nodes that the page draws; a larger network fills a page of its own (`uninas-evo draw`)."""


def drawing(run: Run) -> str:
    """The winner beside the start network, what differs marked."""
    if run.winner is None:
        return ""
    best = _genome(run.record.genomes[run.winner])
    if best is None:
        return ""
    start = run.start or _genome(run.history.text(run.line[0].number))
    title = f"winner: candidate {run.record.numbers[run.winner]}"
    if len(best) > MAX_NODES:
        return f"<h2>The winner</h2><p>It has {len(best)} nodes: draw it with <code>uninas-evo draw</code>.</p>"
    if start is None or start == best or start.skeleton != best.skeleton or len(start) > MAX_NODES:
        return f"<h2>The winner</h2>{widget(titled_parts(best, title, None, ''))}"
    first = "start" if run.start else f"its first ancestor: candidate {run.line[0].number}"
    return f"<h2>The winner beside the start</h2>{widget(titled_parts(start, first, best, title))}"


def _genome(text: str) -> Genome | None:
    """The genome of a text; None where it is one of another space."""
    try:
        return load_genome(text) if text.startswith(TEXT_HEADER) else None
    except GenomeError:
        return None
