"""The sections of a run's page: each takes the run and gives HTML, or nothing where it has nothing to show."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from uninas_evo.compare.tables import number
from uninas_evo.config.runfile import to_toml
from uninas_evo.draw.html import widget
from uninas_evo.draw.parts import amount
from uninas_evo.draw.svg import titled_parts
from uninas_evo.engine.finalists import MOSTLY_SIZE
from uninas_evo.engine.journal import FILE_NAME, Event, Header, Note, RescoreEvent, read_journal
from uninas_evo.engine.versions import file_hashes
from uninas_evo.errors import GenomeError
from uninas_evo.pages import template
from uninas_evo.progress import duration
from uninas_evo.report.folder import hypervolume_curve
from uninas_evo.report.history import Ancestor, History, Tally
from uninas_evo.report.pareto_plots import pareto_data, pareto_figure
from uninas_evo.report.plots import COUNTS, curves_figure, inline_svg, label, progress_figure
from uninas_evo.report.record import RunRecord, genome_id, record_of
from uninas_evo.report.runplots import busy, busy_figure, size_figure, small
from uninas_evo.spaces.uninas import PRESETS, Genome, Skeleton, load_genome
from uninas_evo.spaces.uninas.diff import Edit
from uninas_evo.spaces.uninas.genome import TEXT_HEADER
from uninas_evo.stats import fronts
from uninas_evo.stats.tests import Curve

MAX_ROWS = 200
"""Ancestors that the page lists; of a longer line, the first and the last ones."""
MAX_NODES = 2000
"""Nodes that the page draws; a larger network fills a page of its own (`uninas-evo draw`)."""
ENDS = ("finished", "exhausted", "interrupted")


@dataclass(frozen=True)
class Run:
    """What a run folder holds.

    Attributes:
        folder: the run folder.
        events: its journal.
        record: the distinct evaluations.
        history: all candidates.
        summary: what the run wrote at its end; empty before.
    """

    folder: Path
    header: Header
    events: Sequence[Event]
    record: RunRecord
    history: History
    summary: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def end(self) -> Note | None:
        """Why the run ended; None while it goes on, or where it was killed."""
        last = next((event for event in reversed(self.events) if not isinstance(event, RescoreEvent)), None)
        return last if isinstance(last, Note) and last.kind in ENDS else None

    @cached_property
    def front(self) -> list[int]:
        """Rows of the record that no other dominates: of one objective the best."""
        return [int(row) for row in fronts.front(self.record.points)]

    @cached_property
    def winner(self) -> int | None:
        """The best row; of a front, its knee. None where nothing has a score."""
        order = fronts.ranked(self.record.points)
        return int(order[0]) if len(order) else None

    @cached_property
    def line(self) -> list[Ancestor]:
        """The winner's ancestry."""
        return [] if self.winner is None else self.history.ancestry(self.record.numbers[self.winner])

    @cached_property
    def start(self) -> Genome | None:
        """The network that the search began at; None where it is of another space or only the run's code knows it."""
        problem = self.header.run.get("problem", {})
        start = str(problem.get("start", ""))
        if start not in PRESETS and "\n" not in start:  # never a path that a folder from elsewhere names
            return None
        try:
            skeleton = problem.get("skeleton")
            return load_genome(start, None if skeleton is None else Skeleton(**skeleton))
        except (GenomeError, TypeError):
            return None


def read(folder: Path) -> Run:
    """Reads a run folder; nothing in it is executed.

    Raises:
        JournalError: the folder holds no run, or its journal is damaged.
    """
    header, events = read_journal(folder)
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        summary = {}
    shown = summary if isinstance(summary, dict) else {}
    return Run(folder, header, events, record_of(header, events), History(header, events), shown)


def headline(run: Run) -> str:
    """How far the run is, the best so far, and what to beware of."""
    record = run.record
    failed = int(np.isnan(record.values).any(axis=1).sum())
    spent = max((result.measured.at for result in run.history.results.values()), default=0.0)
    planned = run.header.run.get("evaluations")
    state = run.end.text if run.end else "going on, or killed: the journal has no end yet"
    rows = [
        ("state", state),
        ("evaluations", f"{len(record.numbers)}" + (f" of {planned}" if planned else "")),
        ("failures", f"{failed}"),
        ("time", duration(spent)),
    ]
    if run.winner is not None:
        names = [objective.name for objective in record.objectives]
        values = zip(names, record.values[run.winner].tolist(), strict=True)
        title = "best" if len(names) == 1 else f"knee of the front of {len(run.front)}"
        cost = record.costs[run.winner]
        best = ", ".join(f"{label(name)} {number(value)}" for name, value in values if name not in COUNTS)
        size = f"{cost.params:,} parameters, {cost.flops:,} FLOPs"
        who = f"candidate {record.numbers[run.winner]}, genome {record.ids[run.winner]}"
        rows.append((title, ", ".join(part for part in (best, size, who) if part)))
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    return f'<dl class="facts">{listed}</dl>' + _alarm(run)


def _alarm(run: Run) -> str:
    """A warning where size alone explains most of a score."""
    known = np.asarray(np.isfinite(run.record.values).all(axis=1))
    if known.sum() < 10:
        return ""
    from uninas_evo.stats.ranks import size_correlation

    costs = [cost for cost, good in zip(run.record.costs, known, strict=True) if good]
    sizes = {name: [cost[name] for cost in costs] for name in costs[0]}
    lines = []
    for column, objective in enumerate(run.record.objectives):
        if objective.name in COUNTS:
            continue
        found = size_correlation(run.record.values[known, column].tolist(), sizes)
        with_each = ", ".join(f"{found[name]:+.2f} with {label(name)}" for name in sizes)
        text = (
            f"{label(objective.name)}: Spearman correlation {with_each}; "
            f"size leaves {found['unexplained']:.0%} of its ranks unexplained"
        )
        alarm = found["unexplained"] < MOSTLY_SIZE
        warning = "<strong>Size alarm.</strong> The search may only find size: " if alarm else "Size: "
        lines.append(f'<p class="{"alarm" if alarm else "note"}">{warning}{escape(text)}.</p>')
    return "".join(lines)


def progress(run: Run) -> str:
    """The best so far, or the hypervolume as it grew."""
    record = run.record
    if run.winner is None:
        return "<p>Nothing has a score yet.</p>"
    if len(record.objectives) == 1:
        figure = small(progress_figure(record.values[:, 0], record.objectives[0], errors=record.errors[:, 0]))
        noise = " with its standard error" if np.isfinite(record.errors).any() else ""
        caption = f"Every evaluation in the order it was asked, and the best so far{noise}."
    else:
        volume = hypervolume_curve(record)
        figure = small(curves_figure({"front": Curve(volume, volume, volume)}, "hypervolume"))
        caption = "The hypervolume of the front, up to a point slightly worse than the worst that was scored."
    return "<h2>Progress</h2>" + template.figure(inline_svg(figure), caption)


def sizes(run: Run) -> str:
    """Scores against parameters and FLOPs of everything that was tried."""
    if run.winner is None:
        return ""
    params = np.array([cost.params for cost in run.record.costs], float)
    flops = np.array([cost.flops for cost in run.record.costs], float)
    marks = {"best" if len(run.record.objectives) == 1 else "knee": run.winner}
    if run.start is not None and run.start.text in run.record.genomes:
        marks["start"] = run.record.genomes.index(run.start.text)
    figures = [
        template.figure(
            inline_svg(size_figure(params, flops, run.record.values[:, column], objective, marks)),
            f"{label(objective.name)} against parameters and against FLOPs, of everything that was scored.",
        )
        for column, objective in enumerate(run.record.objectives)
        if objective.name not in COUNTS
    ]
    return "<h2>Score and size</h2>" + "".join(figures) if figures else ""


def front(run: Run) -> str:
    """The Pareto front of two or three objectives, and its members."""
    record = run.record
    if len(record.objectives) < 2 or not run.front:
        return ""
    data = pareto_data(record.objectives[:3], record.values[:, :3], record.ids)
    caption = "The front, its knee, and what they dominate." + (
        " The first three objectives." if len(record.objectives) > 3 else ""
    )
    names = [objective.name for objective in record.objectives]
    members = sorted(run.front, key=lambda row: record.points[row, 0])
    rows = [
        [
            str(record.numbers[row]),
            record.ids[row],
            *(_plain(name, value) for name, value in zip(names, record.values[row].tolist(), strict=True)),
        ]
        for row in members[:MAX_ROWS]
    ]
    table = template.table(["candidate", "genome", *map(label, names)], rows)
    more = f" (the first {MAX_ROWS})" if len(members) > MAX_ROWS else ""
    return (
        "<h2>Pareto front</h2>"
        + template.figure(inline_svg(small(pareto_figure(data))), caption)
        + f"<details><summary>{len(members)} members{more}</summary>{table}</details>"
    )


def noise(run: Run) -> str:
    """The finalists under fresh seeds, as the run scored them at its end."""
    rescored = run.summary.get("rescored")
    if not rescored:
        return ""
    rows = []
    leads = {"start": rescored.get("over_start"), "runner-up": rescored.get("over_runner_up")}
    for name, values in rescored["values"].items():
        known = [value for value in values if value is not None and math.isfinite(value)]
        error = statistics.stdev(known) / len(known) ** 0.5 if len(known) > 1 else 0.0
        lead = leads.get(name)
        judged = "beyond noise" if lead and lead["significant"] else "within noise"
        told = f"{lead['mean']:+.4g} ± {lead['error']:.2g}, {judged}" if lead else ""
        mean = f"{statistics.fmean(known):.6g} ± {error:.2g}" if known else "failed"
        rows.append([name, mean, str(len(known)), told])
    head = ["", "mean ± standard error", "fresh seeds", "the winner's lead"]
    note = (
        f"{label(rescored['objective'])} with seeds that the search did not use, the same for all: a search picks the "
        "luckiest of many noisy scores, so that only these tell how good the winner is."
    )
    return f'<h2>How sure it is</h2>{template.table(head, rows)}<p class="note">{escape(note)}</p>'


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


def ancestry(run: Run) -> str:
    """How the winner came about, step by step."""
    if len(run.line) < 2:
        return ""
    names = [objective.name for objective in run.record.objectives if objective.name not in COUNTS]
    head = ["step", "candidate", "made by", *(f"{label(n)} (change)" for n in names), "parameters", "FLOPs", "edits"]
    rows: list[list[str]] = []
    for step, (before, one) in enumerate(zip([None, *run.line[:-1]], run.line, strict=True)):
        values = [_changed(one.values.get(name), before.values.get(name) if before else None) for name in names]
        params = _sized(one.cost.params, before.cost.params if before else None)
        flops = _sized(one.cost.flops, before.cost.flops if before else None)
        others = f" with {', '.join(map(str, one.parents[1:]))}" if len(one.parents) > 1 else ""
        rows.append([str(step), str(one.number), one.origin + others, *values, params, flops, _edits(one.edits)])
    cut = ""
    if len(rows) > MAX_ROWS:
        cut = f" Of {len(rows)} steps the first and the last {MAX_ROWS // 2} are listed."
        rows = [*rows[: MAX_ROWS // 2], *rows[-MAX_ROWS // 2 :]]
    note = f"From the first ancestor to the winner, along first parents.{cut}"
    return f'<h2>Ancestry</h2><div class="wrapped">{template.table(head, rows)}</div><p class="note">{note}</p>'


def _plain(name: str, value: float) -> str:
    return f"{value:,.0f}" if name in COUNTS else number(value)


def _changed(value: float | None, before: float | None) -> str:
    if value is None:
        return "–"
    return number(value) if before is None else f"{number(value)} ({value - before:+.4g})"


def _sized(value: int, before: int | None) -> str:
    if before is None or value == before:
        return amount(value)
    return f"{amount(value)} ({'+' if value > before else '−'}{amount(abs(value - before))})"


def _edits(found: Sequence[Edit] | None, most: int = 3) -> str:
    """The edits in words: "+ dw5 at 2.1.1/3"."""
    if not found:
        return ""
    signs = {"added": "+", "removed": "−"}
    words = [f"{signs[edit.change]} {edit.operation} at {edit.place}" for edit in found[:most]]
    return "; ".join(words) + (f"; {len(found) - most} more" if len(found) > most else "")


def edits(run: Run) -> str:
    """Which edits at which stage were tried, accepted and paid off."""
    tallies = run.history.tallies()
    if not tallies:
        return ""
    stages = sorted({stage for _, _, stage in tallies})
    parts = [
        f"<div><h3>{title}</h3>{_tally_table(tallies, change, stages)}</div>"
        for change, title in (("added", "Added"), ("removed", "Removed"))
        if any(key[0] == change for key in tallies)
    ]
    note = (
        "Over scored children of one parent. Each cell: how often tried; how many of these became parents; how many "
        "were better than their parent. The darker, the larger the share that was better."
    )
    return f'<h2>Edits</h2><div class="sides">{"".join(parts)}</div><p class="note">{note}</p>'


def _tally_table(tallies: Mapping[tuple[str, str, int], Tally], change: str, stages: Sequence[int]) -> str:
    operations: dict[str, list[Tally]] = {}
    for (own, operation, stage), tally in tallies.items():
        if own == change:
            operations.setdefault(operation, [Tally() for _ in stages])[stages.index(stage)] = tally
    rows = []
    for operation, row in sorted(operations.items(), key=lambda item: (-sum(one.tried for one in item[1]), item[0])):
        total = Tally(sum(t.tried for t in row), sum(t.accepted for t in row), sum(t.paid for t in row))
        cells = "".join(_tally_cell(one) for one in (total, *row))
        rows.append(f"<tr><td>{escape(operation)}</td>{cells}</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("operation", "all stages", *(f"stage {s}" for s in stages)))
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table class="tallies">{body}</table></div>'


def _tally_cell(tally: Tally) -> str:
    if not tally.tried:
        return "<td></td>"
    heat = tally.paid / tally.tried
    return f'<td style="--heat:{heat:.2f}">{tally.tried} · {tally.accepted} · {tally.paid}</td>'


def failures(run: Run) -> str:
    """Failures by reason, with an example of each."""
    failed = [result for result in run.history.results.values() if result.failure is not None]
    if not failed:
        return ""
    kinds = Counter((result.failure or "").partition(":")[0] for result in failed)
    examples = {(result.failure or "").partition(":")[0]: result for result in reversed(failed)}
    rows = [
        [kind[:80], str(count), str(examples[kind].number), (examples[kind].failure or "")[:300]]
        for kind, count in kinds.most_common(MAX_ROWS)
    ]
    head = ["reason", "failures", "first candidate", "its message"]
    return f'<h2>Failures</h2><div class="wrapped">{template.table(head, rows)}</div>'


def devices(run: Run) -> str:
    """How busy the devices were, and how long scoring took on each."""
    results = list(run.history.results.values())
    if not results:
        return ""
    edges, shares = busy(results)
    rows = []
    for device in shares:
        own = [result.measured for result in results if result.measured.device == device]
        seconds = sorted(one.seconds for one in own)
        workers = len({one.worker for one in own})
        mean = f"{float(np.mean(shares[device])):.0f} %"
        middle, slow = seconds[len(seconds) // 2], seconds[min(len(seconds) - 1, len(seconds) * 95 // 100)]
        rows.append([device, str(workers), str(len(own)), mean, f"{middle:.3g} s", f"{slow:.3g} s"])
    head = ["device", "workers", "evaluations", "busy", "median of scoring", "95 % of scorings below"]
    caption = "Share of the workers' time that was spent on scoring; the rest is asking, recording and waiting."
    return (
        "<h2>Devices</h2>"
        + template.figure(inline_svg(busy_figure(edges, shares)), caption)
        + template.table(head, rows)
    )


def passport(run: Run) -> str:
    """What it takes to get the same result again."""
    header = run.header
    journal = run.folder / FILE_NAME
    facts = {
        "started": header.started,
        "seed": str(header.seed),
        "versions": ", ".join(f"{name} {version}" for name, version in header.versions.items()),
        "machine": ", ".join(f"{name} {value}" for name, value in header.host.items()),
        "commit": header.git or "not in a git repository",
        "SHA-256 of the journal": next(iter(file_hashes([journal]).values())),
    }
    facts |= {f"SHA-256 of {Path(path).name}": digest for path, digest in header.sources.items()}
    if run.winner is not None:
        facts["genome of the winner"] = genome_id(run.record.genomes[run.winner])
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    commands = f"uninas-evo verify {run.folder}\nuninas-evo resume {run.folder}"
    return (
        f'<h2>Reproduction passport</h2><dl class="facts">{listed}</dl>'
        f"<p>Scores the winner again and compares; goes on with the run:</p><pre>{escape(commands)}</pre>"
    )


def settings(run: Run) -> str:
    """The run file with every default filled in."""
    return f"<details><summary>the run file</summary><pre>{escape(to_toml(run.header.run))}</pre></details>"
