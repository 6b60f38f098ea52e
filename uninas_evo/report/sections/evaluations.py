"""All evaluations in one table that sorts and filters; a row, or a dot of a figure, opens its genome."""

from __future__ import annotations

import itertools
import json
from html import escape

import numpy as np

from uninas_evo.formats import exact, number
from uninas_evo.pages import template
from uninas_evo.report.plots import label
from uninas_evo.report.run import Run
from uninas_evo.stats.fronts import IntArray

MAX_ROWS = 2000
"""Evaluations that the page lists, the best and then the latest: more make a page slow to open."""
MAX_TEXT = 2_000_000
"""Characters of genomes that the page holds, those of the best rows first."""


def evaluations(run: Run) -> str:
    """Every evaluation with its values, costs and genome."""
    record = run.record
    if not record.numbers:
        return ""
    latest = reversed(range(len(record.numbers)))
    rows = list(itertools.islice(dict.fromkeys(itertools.chain(record.ranking, latest)), MAX_ROWS))
    names = [label(one) for one in record.objectives if not one.is_cost]
    columns = [column for column, one in enumerate(record.objectives) if not one.is_cost]
    costs = list(record.costs[0])
    asks, front = run.history.asks, set(run.front)
    table = [
        [
            str(record.numbers[row]),
            *(number(float(record.values[row, column])) for column in columns),
            *(exact(record.costs[row][name]) for name in costs),
            asks[record.numbers[row]].origin,
            _state(run, row, front),
        ]
        for row in rows
    ]
    head = ["candidate", *names, *costs, "made by", "state"]
    more = f" The best and latest {MAX_ROWS} of {len(record.numbers)}." if len(record.numbers) > MAX_ROWS else ""
    return (
        '<h2 id="evaluations">All evaluations</h2>'
        f'<p class="note">A click on a head sorts; a click on a row, or on a dot above, opens its genome.{more}</p>'
        '<p><label>filter <input id="filter" type="search" placeholder="mutate, failed, 189 …"></label></p>'
        f'<div id="table">{template.table(head, table)}</div><pre id="genome" hidden></pre>'
        f'<script type="application/json" id="genomes">{_genomes(run, rows)}</script>'
    )


def dots(run: Run, *clouds: IntArray) -> str:
    """An attribute for a figure: the candidates of the dots of each cloud of a panel, in their order."""
    lists = (" ".join(str(run.record.numbers[int(row)]) for row in rows) for rows in clouds)
    return f' data-dots="{escape(",".join(lists))}"'


def _state(run: Run, row: int, front: set[int]) -> str:
    record = run.record
    if row == run.winner:
        return "winner" if len(record.objectives) == 1 else "knee"
    if not np.isfinite(record.values[row]).all():
        return "failed"
    if record.violations[row] > 0:
        return "violates a constraint"
    return "front" if len(record.objectives) > 1 and row in front else ""


def _genomes(run: Run, rows: list[int]) -> str:
    """Candidate -> genome, as JSON that cannot end its script element."""
    texts: dict[str, str] = {}
    left = MAX_TEXT
    for row in rows:
        left -= len(run.record.genomes[row])
        if left < 0:
            break
        texts[str(run.record.numbers[row])] = run.record.genomes[row]
    return json.dumps(texts).replace("<", "\\u003c")
