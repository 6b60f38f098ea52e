"""Writing files whole or not at all; journals, which grow line by line, write their own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from uninas_evo.errors import JournalError, UninasEvoError


def write_atomically(path: Path, write: Callable[[BinaryIO], Any], error: type[UninasEvoError] = JournalError) -> None:
    """Writes beside the path, syncs, then renames: a kill leaves the old file or the new one, never a part.

    Args:
        path: the file; its folder is made, and a link in the place of the part file is not followed.
        write: writes the content into an open file.
        error: what is raised where that fails.

    Raises:
        JournalError: the disk is full or the folder cannot be written; or what `error` names.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as cause:
        with contextlib.suppress(OSError):
            part.unlink()
        raise error(
            f"{path} cannot be written ({cause.strerror}); free space, allow writing there, or name another path, "
            f"then give the same command again"
        ) from None


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically.

    Raises:
        JournalError: the disk is full or the folder cannot be written.
    """
    write_atomically(path, lambda file: file.write(text.encode()))
