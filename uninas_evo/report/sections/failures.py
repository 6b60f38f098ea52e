"""Failures by reason."""

from __future__ import annotations

from collections import Counter

from uninas_evo.pages import template
from uninas_evo.report.run import Run

MAX_ROWS = 200
"""Reasons that the page lists."""


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
