"""Whose code a run folder names: it runs only after the user has agreed to it once.

What is agreed to is content, not a place: the hashes of the functions' files and of what they import, and addresses of
clusters. A run that this user starts is agreed to by starting it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from uninas_evo.engine.events import Header
from uninas_evo.engine.identity import check_known
from uninas_evo.errors import JournalError
from uninas_evo.scoring.function import UserFunction
from uninas_evo.sources import hashes

_REFERENCE = re.compile(r"(?:[^\n]+\.py|[A-Za-z_][\w.]*):[A-Za-z_]\w*")


def demand(content: Mapping[str, Any], folder: Path, header: Header, *, given: bool) -> None:
    """Goes on where a run names no code or cluster, or such that the user has agreed to.

    Args:
        content: the run's tables, as the folder holds them.
        folder: the run folder, for the message.
        header: of its journal.
        given: whether the user agrees now, which is remembered.

    Raises:
        JournalError: the user has not agreed, or code is not what the folder records.
    """
    named = _named(content)
    if not named or given:
        remember(content)
    elif not (_state() / _digest(named)).is_file():
        check_known(hashes(file for text in named for file in UserFunction(text).files), header)
        told = ", ".join(name + (f" (SHA-256 {found[0][:12]})" if found else "") for name, found in named.items())
        raise JournalError(
            f"{folder} names what would run on this machine or be connected to, and was not written by a run of yours "
            f"here: {told}; read it, and if you trust it give --trust to plot, verify or resume once (in Python "
            "trust=True)"
        )


def remember(content: Mapping[str, Any]) -> None:
    """Takes what a run names as agreed to, now and later; where nothing can be written, now only."""
    if named := _named(content):
        with contextlib.suppress(OSError):
            _state().mkdir(parents=True, exist_ok=True, mode=0o700)
            (_state() / _digest(named)).touch(mode=0o600)


def _state() -> Path:
    """Where this user's agreements are kept, see the XDG base directory specification."""
    given = os.environ.get("XDG_STATE_HOME", "")
    home = Path(given) if Path(given).is_absolute() else Path("~/.local/state").expanduser()
    return home / "uninas-evo" / "trusted"


def _digest(named: Mapping[str, list[str]]) -> str:
    """A hash of contents: where files lie does not count."""
    facts = [[Path(name).name if found else name, found] for name, found in named.items()]
    return hashlib.sha256(json.dumps(facts).encode(errors="surrogatepass")).hexdigest()


def _named(content: Mapping[str, Any]) -> dict[str, list[str]]:
    """The functions and clusters that a run names, with the hashes of the functions' files."""
    tables = [content.get("problem"), content.get("strategy")]
    found = {text: list(hashes(UserFunction(text).files).values()) for table in tables for text in _references(table)}
    pool = content.get("pool")
    devices = pool.get("devices") if isinstance(pool, Mapping) else None
    if isinstance(devices, Mapping) and "dask" in devices:
        found[f"the Dask cluster {devices['dask']}"] = []
    return dict(sorted(found.items()))


def _references(content: Any) -> Iterator[str]:
    """Every text that could name a function."""
    if isinstance(content, Mapping):
        for value in content.values():
            yield from _references(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _references(value)
    elif isinstance(content, str) and _REFERENCE.fullmatch(content):
        yield content
