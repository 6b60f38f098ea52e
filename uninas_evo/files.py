"""Writing files whole or not at all, and never through a link; journals, which grow line by line, write their own.

JSON is read here too: no key may stand twice.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from uninas_evo.errors import JournalError, UninasEvoError


def parse_json(text: str | bytes) -> Any:
    """What a JSON text holds; Python alone would take the last of two equal keys without a word.

    Raises:
        ValueError: it is not JSON, or a key stands twice in one object.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object; remove one of the two")
    return found


_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte-order marks; the first two begin with the others."""


def decoded(content: bytes) -> str:
    """The text that a person saved, whatever editor or system it came from: UTF-8, or as its byte-order mark says.

    Lines end in a newline, and marks are left out.

    Raises:
        UnicodeDecodeError: it is none of these.
    """
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    text = content.decode(encoding).lstrip("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write_atomically(path: Path, write: Callable[[BinaryIO], Any], error: type[UninasEvoError] = JournalError) -> None:
    """Writes beside the path, syncs, then renames: a kill leaves the old file or the new one, never a part.

    A link in the place of the file, or of the part beside it, is replaced, not followed.

    Args:
        path: the file; its folder is made.
        write: writes the content into an open file.
        error: what is raised where that fails.

    Raises:
        JournalError: the disk is full or the folder cannot be written; or what `error` names.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise OSError(errno.EINVAL, "it is a device or pipe, whose place a file would take")
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
    write_atomically(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def check_writable(path: Path, error: type[UninasEvoError] = JournalError) -> None:
    """Tells before long work whether its result can be written; leaves what is there alone.

    Raises:
        JournalError: it cannot; or what `error` names.
    """
    probe = path.with_name(f".{path.name}.probe")
    write_atomically(probe, lambda file: None, error)
    probe.unlink(missing_ok=True)
    if path.is_dir():
        raise error(f"{path} cannot be written (it is a folder); name another path")


def own_folder(path: Path) -> Path:
    """Makes a folder inside a folder of ours.

    Raises:
        JournalError: it is a link to somewhere else, or cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not path.is_symlink():
            return path
        reason = "it is a link, and nothing is written through one"
    except OSError as error:
        reason = str(error.strerror)
    raise JournalError(f"the folder {path} cannot be used ({reason}); remove it, or name another folder")


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Inside, no other process may claim the same folder.

    Raises:
        JournalError: another process has it, or it cannot be written.
    """
    lock = own_folder(folder) / ".lock"
    try:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise JournalError(f"{lock} cannot be written ({error.strerror}); name another folder") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise JournalError(
            f"{folder} is in use by another process; wait until it ends, or name another folder"
        ) from None
    finally:
        os.close(file)
