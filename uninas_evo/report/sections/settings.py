"""The run file with every default filled in."""

from __future__ import annotations

from html import escape

from uninas_evo.config.runfile import to_toml
from uninas_evo.report.run import Run


def settings(run: Run) -> str:
    """The run file with every default filled in."""
    return f"<details><summary>the run file</summary><pre>{escape(to_toml(run.header.run))}</pre></details>"
