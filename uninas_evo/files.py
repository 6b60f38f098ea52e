"""Writing the files of a run folder that are not its journal."""

from __future__ import annotations

from pathlib import Path

from uninas_evo.errors import JournalError


def write_text(path: Path, text: str) -> None:
    """Writes a file in one step: readers see the old one or the new one, never a part.

    Raises:
        JournalError: the disk is full or the folder cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise JournalError(
            f"{path} cannot be written ({error.strerror}); free space, allow writing there, or name another path"
        ) from None
