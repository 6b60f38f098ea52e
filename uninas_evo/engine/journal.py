"""The append-only record of a run: JSON Lines, one event a line, each line sealed by a chained checksum.

The journal is the checkpoint: a run's whole state is a replay of it. `Journal` writes, `read_journal` reads.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydantic import TypeAdapter, ValidationError

from uninas_evo.engine.events import VERSION, AskEvent, Event, Header, ResultEvent, parsed, written
from uninas_evo.errors import JournalError

READABLE = tuple(range(1, VERSION + 1))
"""Every version there was: old runs are read, continued and verified for ever."""
SYNC_EVERY_S = 0.5
"""Results that come faster than this are made safe from a power cut together: one `fsync` takes 0.2 to 10 ms. A kill
loses nothing in between, since what is written is the system's."""
LET_GO_S = 2.0
"""How long a locked journal is waited for: who was just killed lets go of it only when all its children are gone."""
FILE_NAME = "journal.jsonl"
_SEAL = ',"chain":"{}"}}'
_SEAL_LENGTH = len(_SEAL.format("0" * 16))


def _lock(file: int) -> bool:
    """Whether an open file could be locked for this process alone, within `LET_GO_S`."""
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


class Journal:
    """An open journal that this process alone may write.

    Args:
        path: the file; None keeps the events in memory only.

    Raises:
        JournalError: the file is in use by another process, damaged, of another version, or cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.events: list[Event] = []
        self._chain = ""
        self._file = -1
        self._opened: os.stat_result | None = None
        self._unsynced = False
        self._synced_at = float("-inf")
        if path is not None:
            try:
                self._open(path)
            except OSError as error:
                raise _unwritable(path, error) from error
            except JournalError:
                self.close()
                raise

    def _open(self, path: Path) -> None:
        _check_name(path)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self._file = os.open(path, flags, 0o644)
        _check_regular(path)
        self._opened = os.fstat(self._file)
        if not _lock(self._file):
            raise JournalError(
                f"{path} is in use: one process at a time may write a run folder; "
                f"wait until the other one ends, or end it"
            )
        reader = _Reader(path)
        with open(self._file, "rb", closefd=False) as file:
            self.events = list(reader.read(file))
        self._chain = reader.chain
        if reader.torn:  # the process was killed while it wrote
            _check_torn(reader.torn, path, first=reader.good == 0)
            os.ftruncate(self._file, reader.good)

    @classmethod
    def of(cls, path: Path) -> Journal:
        """A journal in memory that begins with what a file, or a run folder's file, holds; the file is left alone."""
        journal = cls(None)
        header, events = read_journal(path)
        journal.events = [header, *events]
        return journal

    @property
    def header(self) -> Header | None:
        """The first event; None while nothing is written."""
        return cast("Header", self.events[0]) if self.events else None

    def append(self, *events: Event) -> None:
        """Writes events at the end, in one write; at least every `SYNC_EVERY_S` they are made safe on the disk.

        Raises:
            JournalError: the disk is full or the folder cannot be written; the events before are safe.
        """
        lines = []
        for event in events:
            body = written(event)
            self._chain = _link(self._chain, body.encode())
            lines.append(body + _SEAL.format(self._chain) + "\n")
        if self.path is not None:
            self._check_place(self.path)
            try:
                _write("".join(lines).encode(), self._file)
            except OSError as error:
                raise _unwritable(self.path, error) from error
            self._unsynced = True
            if time.monotonic() - self._synced_at >= SYNC_EVERY_S:
                self.sync()
        self.events.extend(events)

    def _check_place(self, path: Path) -> None:
        """What is written must be found again.

        Raises:
            JournalError: the file was deleted, moved or replaced since it was opened.
        """
        try:
            same = self._opened is not None and os.path.samestat(path.stat(), self._opened)
        except OSError:
            same = False
        if not same:
            raise JournalError(
                f"{path} was deleted, moved or replaced while the run goes on, so that the run ends here; where the "
                f"folder was moved to, it continues with `uninas-evo resume`"
            )

    def sync(self) -> None:
        """Waits until the disk has all that was written.

        Raises:
            JournalError: the disk cannot take it.
        """
        if self._unsynced and self.path is not None:
            try:
                os.fsync(self._file)
            except OSError as error:
                raise _unwritable(self.path, error) from error
            self._unsynced, self._synced_at = False, time.monotonic()

    def close(self) -> None:
        """Closes the file and lets another process write it."""
        if self._file >= 0:
            with contextlib.suppress(JournalError):  # what could not be written was told when it was
                self.sync()
            os.close(self._file)
            self._file = -1


def read_journal(path: Path) -> tuple[Header, list[Event]]:
    """The header and the events after it, also of a journal that is being written; a torn last line is left out.

    Args:
        path: the journal, or the run folder that holds it.

    Raises:
        JournalError: there is no journal, it has no header, it is of another version, or a line was changed.
    """
    events = stream(path)
    return cast("Header", next(events)), list(events)


def stream(path: Path) -> Iterator[Event]:
    """The header and the events after it, one at a time: a long run need not be held at once.

    Args:
        path: as for `read_journal`.

    Raises:
        JournalError: as `read_journal`, where the wrong line is reached.
    """
    path = path / FILE_NAME if path.is_dir() else path
    reader = _Reader(path)
    try:
        _check_regular(path)
        with path.open("rb") as file:
            yield from reader.read(file)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not reader.good:
        raise JournalError(f"{path} holds no event yet: the run was ended before it began; start it again")


def read_header(path: Path) -> Header:
    """The header alone, without a look at the events after it; raises as `read_journal`."""
    return cast("Header", next(stream(path)))


def count_results(path: Path) -> int:
    """How many results a run folder's journal holds, without checking them.

    Raises:
        JournalError: it cannot be read.
    """
    try:
        with (path / FILE_NAME).open("rb") as file:
            return sum(line.startswith(b'{"event":"result"') for line in file)
    except OSError as error:
        raise _unreadable(path / FILE_NAME, error) from error


def _unreadable(path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"{path} cannot be read ({error.strerror}): a run folder holds a file {FILE_NAME}; "
        f"name the folder that `uninas-evo run` wrote"
    )


class _Reader:
    """Reads a journal line by line; each must have its seal and follow from those before it.

    Attributes:
        path: named in errors.
        chain: the last checksum.
        good: bytes of whole lines.
        torn: what follows them, a line without its end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.chain = ""
        self.good = 0
        self.torn = b""
        self._order = _Order()

    def read(self, file: BinaryIO) -> Iterator[Event]:
        """The events of an open file.

        Raises:
            JournalError: a line is no event, was changed, or does not follow.
        """
        for number, whole in enumerate(file, start=1):
            if not whole.endswith(b"\n"):
                self.torn = whole
                return
            line = whole[:-2] if whole.endswith(b"\r\n") else whole[:-1]  # a checkout may have changed line ends
            if number == 1:
                _check_version(line, self.path)
            body, seal = line[:-_SEAL_LENGTH], line[-_SEAL_LENGTH:]
            self.chain = _link(self.chain, body)
            if seal != _SEAL.format(self.chain).encode():
                raise JournalError(
                    f"{self.path}, line {number}: the line, or one before it, was changed after it was written "
                    f"(its checksum should be {self.chain}); restore the file from a copy"
                    + (f", or cut it after line {number - 1} to go on from there" if number > 1 else "")
                )
            event = parsed(body, self.path, number)
            if wrong := self._order.wrong(event):
                raise JournalError(
                    f"{self.path}, line {number}: {wrong}; restore the file from a copy, or cut it before this line"
                )
            self.good += len(whole)
            yield event


def _check_version(line: bytes, path: Path) -> None:
    """The first line must be a header of this version; said before anything else can fail."""
    try:
        header = TypeAdapter(dict[str, Any]).validate_json(line)
    except ValidationError:
        raise JournalError(f"{path}, line 1: not a journal: the first line must be a header in JSON") from None
    if header.get("event") != "header":
        raise JournalError(f"{path}, line 1: the first event must be a header, got {header.get('event')!r}")
    if header.get("version") not in READABLE:
        raise JournalError(
            f"{path} is a journal of version {header.get('version')!r}, and this program reads 1 to {VERSION}; "
            f"use the uninas-evo that wrote it ({header.get('versions', {}).get('uninas-evo', 'unknown')})"
        )


class _Order:
    """What each event must agree with.

    Asks count from 0 and name what was asked before; each has one result at most, with a value for every objective.
    """

    def __init__(self) -> None:
        self._own: list[bool] = []
        """For each ask, whether it has a genome of its own."""
        self._done: set[int] = set()
        self._header: Header | None = None

    def wrong(self, event: Event) -> str:
        """What is wrong with the next event, empty where nothing is."""
        if isinstance(event, AskEvent):
            wrong = self._wrong_ask(event)
            self._own.append(event.same_as is None)
            return wrong
        if isinstance(event, ResultEvent):
            wrong = self._wrong_result(event)
            self._done.add(event.number)
            return wrong
        if not isinstance(event, Header):
            return ""
        if self._header is not None:
            return "a second header"
        self._header = event
        followed = event.objectives or "audit" in event.run  # an audit follows nothing
        return "" if followed else "a header without objectives"

    def _wrong_ask(self, ask: AskEvent) -> str:
        if ask.number != len(self._own):
            return f"candidate {len(self._own)} must come next, got {ask.number}"
        if ask.genome is None and ask.same_as is None:
            return f"candidate {ask.number} must have a genome or be the same as an earlier one"
        named = [*ask.parents, *(one for one in (ask.same_as, ask.inherits) if one is not None)]
        if named and not 0 <= min(named) <= max(named) < ask.number:
            return f"candidate {ask.number} names one that was not asked before it"
        if ask.same_as is not None and not self._own[ask.same_as]:
            return f"candidate {ask.number} is the same as {ask.same_as}, which shares the result of another"
        return ""

    def _wrong_result(self, result: ResultEvent) -> str:
        if not 0 <= result.number < len(self._own):
            return f"a result of candidate {result.number} before its ask"
        if not self._own[result.number]:
            return f"a result of candidate {result.number}, which shares the result of another"
        if result.number in self._done:
            return f"a second result of candidate {result.number}"
        if (result.values is None) == (result.failure is None):
            return f"the result of candidate {result.number} must have values or a failure"
        if result.values is not None and self._header is not None:
            for name in self._header.objectives:
                if name not in result.values:
                    return f"the result of candidate {result.number} has no value for the objective {name!r}"
        return ""


def _check_regular(path: Path) -> None:
    """A device or pipe would be read for ever."""
    _check_name(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise JournalError(f"{path} is no file but a device, pipe or folder; name a run folder")


def _check_name(path: Path) -> None:
    """A name that is not UTF-8 cannot be recorded or printed."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise JournalError(f"{str(path)!a} must have a name in UTF-8, which others can read; rename it") from None


def _check_torn(tail: bytes, path: Path, *, first: bool) -> None:
    """What is cut off must be the beginning of an event, or what a power cut leaves of one, never anything else."""
    begin = b'{"event":"header"' if first else b'{"event":"'
    if not (tail.startswith(begin) or begin.startswith(tail) or not tail.strip(b"\0")):
        raise JournalError(
            f"{path} ends with {tail[:40]!r}, which no run wrote: it is no journal of a run, or somebody added to it; "
            f"remove that, or name another folder"
        )


def _link(chain: str, body: bytes) -> str:
    return hashlib.sha256(b"%b\n%b" % (chain.encode(), body)).hexdigest()[:16]


def _write(data: bytes, file: int) -> None:
    while data:
        data = data[os.write(file, data) :]


def _unwritable(path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"{path} cannot be written ({error.strerror}): a run records every result as it arrives; "
        f"free space or allow writing there, then continue with: uninas-evo resume {path.parent}"
    )
