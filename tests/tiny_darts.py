"""A run file of a search over the shared weights of the smallest cells, in seconds."""

from __future__ import annotations

import json
from pathlib import Path


def run_file(
    data: Path, evaluations: int, strategy: str = 'name = "random"', steps: int = 2, batch_size: int = 8, more: str = ""
) -> str:
    """Its text; `more` are further lines of `[problem.supernet]`, `strategy` those of `[strategy]`."""
    return f"""evaluations = {evaluations}
pool = {{ devices = "in-process", threads = 1 }}
after = {{ rescore = 0 }}
[problem]
name = "darts"
image = 8
classes = 3
channels = 4
cells = 3
objective = "supernet"
[problem.supernet]
data = {json.dumps(str(data))}
steps = {steps}
batch_size = {batch_size}
recalibrate = 24
network = {{ channels = 4, cells = 3 }}
{more}
[strategy]
{strategy}
"""
