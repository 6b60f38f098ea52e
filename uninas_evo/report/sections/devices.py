"""How busy the devices were."""

from __future__ import annotations

import numpy as np

from uninas_evo.pages import template
from uninas_evo.report.plots import inline_svg
from uninas_evo.report.run import Run
from uninas_evo.report.runplots import busy, busy_figure


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
