"""Files of a training folder: written whole or not at all, read without running code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from uninas_evo.errors import TrainingError
from uninas_evo.files import write_atomically


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
