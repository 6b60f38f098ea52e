"""The finalists under fresh seeds."""

from __future__ import annotations

import math
from html import escape

from uninas_evo.pages import template
from uninas_evo.report.run import Run
from uninas_evo.stats import means


def noise(run: Run) -> str:
    """The finalists under fresh seeds, as the run scored them at its end."""
    rescored = run.summary.get("rescored")
    if not rescored:
        return ""
    rows = []
    leads = {"start": rescored.get("over_start"), "runner-up": rescored.get("over_runner_up")}
    for name, values in rescored["values"].items():
        known = [value for value in values if value is not None and math.isfinite(value)]
        error = means.deviation(known) / len(known) ** 0.5 if known else 0.0
        lead = leads.get(name)
        judged = "beyond noise" if lead and lead["significant"] else "within noise"
        told = f"{lead['mean']:+.4g} ± {lead['error']:.2g}, {judged}" if lead else ""
        mean = f"{means.mean(known):.6g} ± {error:.2g}" if known else "failed"
        rows.append([name, str(rescored.get("candidates", {}).get(name, "")), mean, str(len(known)), told])
    head = ["", "candidate", "mean ± standard error", "fresh seeds", "the winner's lead"]
    note = (
        f"{rescored['objective']} with seeds that the search did not use, the same for all: a search picks the "
        "luckiest of many noisy scores, so that the winner is the finalist that these prefer."
    )
    return f'<h2>How sure it is</h2>{template.table(head, rows)}<p class="note">{escape(note)}</p>'
