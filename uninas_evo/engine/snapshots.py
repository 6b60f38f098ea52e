"""States of strategies that learn by gradient steps: arrays in a file, named by an event with its hash.

A snapshot is a cache of the replay, never state of its own: where its file is missing or changed, all is replayed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from uninas_evo.engine.events import SnapshotEvent
from uninas_evo.files import write_atomically

if TYPE_CHECKING:
    from uninas_evo.contracts.array import Array

EVERY = 64
"""Told results between two snapshots: replaying fewer takes a second at most, writing one takes milliseconds."""
_PREFIX = "snapshot-"


def write(folder: Path, told: int, asked: int, state: Mapping[str, Array]) -> SnapshotEvent:
    """Writes a state into the run folder and deletes those before it.

    Args:
        folder: the run folder.
        told: results that the strategy had been told.
        asked: candidates that it had asked.
        state: what its `snapshot` returned.
    """
    from safetensors.numpy import save

    content = save(dict(sorted(state.items())))
    name = f"{_PREFIX}{told}.safetensors"
    write_atomically(folder / name, lambda file: file.write(content))
    for other in folder.glob(f"{_PREFIX}*.safetensors"):
        if other.name != name:
            other.unlink(missing_ok=True)
    return SnapshotEvent(told=told, asked=asked, file=name, sha256=hashlib.sha256(content).hexdigest())


def read(folder: Path, event: SnapshotEvent) -> Mapping[str, Array] | None:
    """The state that an event names; None where its file is missing, changed, or not of a snapshot's name."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if event.file != f"{_PREFIX}{event.told}.safetensors":
        return None
    try:
        content = (folder / event.file).read_bytes()
        return load(content) if hashlib.sha256(content).hexdigest() == event.sha256 else None
    except (OSError, SafetensorError):
        return None
