"""Files of a training folder: written whole or not at all, read without running code."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from uninas_evo.errors import TrainingError
from uninas_evo.files import parse_json, write_atomically

LET_GO_S = 2.0
"""How long a folder in use is waited for: a training that was just killed lets go of it when its readers are gone."""


def save_tensors(path: Path, state: Mapping[str, Any]) -> None:
    """Saves tensors in plain dictionaries, lists and numbers."""
    write_atomically(path, lambda file: torch.save(dict(state), file), TrainingError)


def load_tensors(path: Path) -> dict[str, Any]:
    """Reads what `save_tensors` wrote, onto the CPU; nothing else is accepted.

    Raises:
        TrainingError: the file is missing, damaged, or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the reader raises whatever the damage leads to
        raise TrainingError(
            f"checkpoint {path} cannot be read: it is missing, damaged, or holds more than tensors and numbers; "
            "remove the folder and start anew"
        ) from error
    return dict(state)


def save_json(path: Path, content: Any) -> None:
    """Writes JSON."""
    write_atomically(path, lambda file: file.write(json.dumps(content, indent=1).encode()), TrainingError)


def save_lines(path: Path, lines: list[Any]) -> None:
    """Writes JSON Lines."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_atomically(path, lambda file: file.write(text.encode()), TrainingError)


def save_text(path: Path, text: str) -> None:
    """Writes text."""
    write_atomically(path, lambda file: file.write(text.encode()), TrainingError)


def load_json(path: Path) -> dict[str, Any]:
    """Reads what `save_json` wrote.

    Raises:
        TrainingError: the file is damaged or holds no table.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"{path} is damaged ({error}); remove its folder and start anew") from error
    if not isinstance(content, dict):
        raise TrainingError(f"{path} holds no table; remove its folder and start anew")
    return content


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Makes a folder and keeps other trainings out of it until the block ends or the process dies.

    Raises:
        TrainingError: another training is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not _lock(file):
            raise TrainingError(
                f"folder {folder} is in use by another training; wait for its end or give another folder"
            )
        yield
    finally:
        os.close(file)


def _lock(file: int) -> bool:
    """Whether an open folder could be locked for this process alone, within `LET_GO_S`."""
    end = time.monotonic() + LET_GO_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.01)
        else:
            return True


def check_space(folder: Path, params: int) -> None:
    """Makes sure before training that its files will fit.

    Four numbers a parameter (weight, average, two moments of AdamW) in `last.pt`, one in `best.pt`, and the part
    file beside the larger: 9 floats of 4 bytes, and 1 MB for the rest.

    Raises:
        TrainingError: they will not.
    """
    needed = 36 * params + 2**20
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise TrainingError(
            f"the disk of {folder} has {free / 1e6:.1f} MB free and the checkpoints need {needed / 1e6:.1f} MB; "
            "free some space or choose another folder"
        )
