"""What it takes to get the same result again."""

from __future__ import annotations

from html import escape
from pathlib import Path

from uninas_evo.engine.journal import FILE_NAME
from uninas_evo.report.record import genome_id
from uninas_evo.report.run import Run
from uninas_evo.sources import file_hash


def reproducibility(run: Run) -> str:
    """What it takes to get the same result again."""
    header = run.header
    journal = run.folder / FILE_NAME
    facts = {
        "started": header.started,
        "seed": str(header.seed),
        "versions": ", ".join(f"{name} {version}" for name, version in header.versions.items()),
        "machine": ", ".join(f"{name} {value}" for name, value in header.host.items()),
        "commit": header.git or "not in a git repository",
        "SHA-256 of the journal": file_hash(journal),
    }
    facts |= {f"SHA-256 of {Path(path).name}": digest for path, digest in header.sources.items()}
    if run.winner is not None:
        facts["genome of the winner"] = genome_id(run.record.genomes[run.winner])
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    commands = f"uninas-evo verify {run.folder}\nuninas-evo resume {run.folder}"
    return (
        f'<h2>Reproducibility</h2><dl class="facts">{listed}</dl>'
        f"<p>Scores the winner again and compares; goes on with the run:</p><pre>{escape(commands)}</pre>"
    )
