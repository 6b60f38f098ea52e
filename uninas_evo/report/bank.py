"""A run folder as a bank: one table of what was trained, in one file."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

from uninas_evo.engine.events import AskEvent, ResultEvent
from uninas_evo.engine.journal import read_journal
from uninas_evo.files import write_atomically
from uninas_evo.predictors.bank import FILE_NAME


def write_bank(folder: Path) -> int:
    """Writes the folder's table of networks that have values at the full fidelity; how many these are.

    Equal journals give equal files, but for the seconds in them. Numbers are written in full.
    """
    _, events = read_journal(folder)
    results = {one.number: one for one in events if isinstance(one, ResultEvent) and one.values}
    asks = [one for one in events if isinstance(one, AskEvent) and one.genome and one.number in results]
    rows: list[dict[str, str | float]] = [
        {"genome": ask.genome or ""} | dict(ask.costs) | (results[ask.number].values or {})
        | {"seconds": round(results[ask.number].measured.seconds, 3)}
        for ask in asks
        if ask.fidelity is None
    ]  # fmt: skip
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, names or ["genome"], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    packed = gzip.compress(text.getvalue().encode(), mtime=0)
    write_atomically(folder / FILE_NAME, lambda file: file.write(packed))
    return len(rows)
