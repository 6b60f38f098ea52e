"""The append-only record of a run: JSON Lines, one event a line, each line sealed by a chained checksum.

The journal is the checkpoint: a run's whole state is a replay of it. `Journal` writes, `read_journal` reads,
`canonical` drops what may differ between two recordings of the same run.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import math
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, Protocol, TypeVar, cast, dataclass_transform

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticSerializationError

from uninas_evo.contracts import Constraint, Cost, Goal
from uninas_evo.errors import JournalError
from uninas_evo.files import parse_json

VERSION = 2
"""Since 2 an ask holds its costs by name, and may have a fidelity and what it inherits from."""
READABLE = (1, 2)
"""Every version there was: old runs are read, continued and verified for ever."""
SYNC_EVERY_S = 0.5
"""Results that come faster than this are made safe from a power cut together: one `fsync` takes 0.2 to 10 ms. A kill
loses nothing in between, since what is written is the system's."""
LET_GO_S = 2.0
"""How long a locked journal is waited for: who was just killed lets go of it only when all its children are gone."""
FILE_NAME = "journal.jsonl"
_SEAL = ',"chain":"{}"}}'
_SEAL_LENGTH = len(_SEAL.format("0" * 16))


T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def _event_class(cls: type[T]) -> type[T]:
    """An event: checked by pydantic where it is made or read, and with slots, since long runs hold many."""
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    return cast("type[T]", dataclass(cls, config=config, frozen=True, kw_only=True, slots=True))


def _tables(run: dict[str, Any]) -> dict[str, Any]:
    """What stands for a table must be one."""
    for name in ("problem", "strategy", "pool", "after", "train"):
        if not isinstance(run.get(name, {}), dict):
            raise ValueError(f"{name} must be a table, got {run[name]!r:.80}")
    return run


Run = Annotated[dict[str, Any], AfterValidator(_tables)]


@_event_class
class Header:
    """The first line: what is needed to build the run again, and where it was started."""

    event: Literal["header"] = "header"
    version: int = VERSION
    run: Run
    """The resolved run file; `problem` or `strategy` is absent where a Python object was given."""
    seed: int
    objectives: dict[str, Goal]
    units: dict[str, str] = field(default_factory=dict)
    """What objectives are counted in, where they have a unit."""
    constraints: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    """Bounds on scored values: name -> least and most that is feasible."""
    versions: dict[str, str]
    """Installed version of each library that can change a result."""
    host: dict[str, str]
    git: str | None = None
    """Commit of the working folder, with `+` where files differ from it."""
    sources: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of the user's own that the scores depend on, imported modules included."""
    prepared: dict[str, str] = field(default_factory=dict)
    """SHA-256 of what was made before the first score and is shared by all, such as trained weights."""
    strategy_source: str | None = None
    """SHA-256 of the file of the user's own strategy."""
    started: str
    """When the run began, ISO 8601 in UTC."""

    @property
    def bounds(self) -> tuple[Constraint, ...]:
        """The constraints as candidates are held to them."""
        return tuple(
            Constraint(name, -math.inf if low is None else low, math.inf if high is None else high)
            for name, (low, high) in self.constraints.items()
        )


@_event_class
class AskEvent:
    """A candidate that the strategy asked for."""

    event: Literal["ask"] = "ask"
    number: int
    genome: str | None = None
    """The genome's text; absent where `same_as` tells it."""
    same_as: int | None = None
    """The first candidate with the same genome, whose result this one shares."""
    parents: tuple[int, ...] = ()
    origin: str
    fidelity: int | None = None
    """Index into the problem's fidelities; absent for the full one."""
    inherits: int | None = None
    """The candidate whose trained weights this one starts from."""
    costs: dict[str, int | float]
    """Every named cost of the genome."""

    @model_validator(mode="before")
    @classmethod
    def _version_1(cls, content: Any) -> Any:
        """Version 1 wrote params and flops as fields of their own."""
        if isinstance(content, dict) and "costs" not in content and "params" in content:
            rest = {key: value for key, value in content.items() if key not in ("params", "flops")}
            return rest | {"costs": {key: content[key] for key in ("params", "flops") if key in content}}
        return content

    @property
    def cost(self) -> Cost:
        """The costs as a `Cost`."""
        further = {name: amount for name, amount in self.costs.items() if name not in ("params", "flops")}
        return Cost(int(self.costs.get("params", 0)), int(self.costs.get("flops", 0))).extended(**further)


@_event_class
class Measured:
    """What may differ between two recordings of the same run."""

    seconds: float
    """Time that scoring took."""
    device: str
    worker: int
    at: float
    """Seconds since the run began, starts of workers and pauses before a resume left out."""


@_event_class
class ResultEvent:
    """What scoring a candidate gave: values, or the reason why there are none."""

    event: Literal["result"] = "result"
    number: int
    values: dict[str, float] | None = None
    failure: str | None = None
    traceback: str | None = None
    """The whole traceback of a failure, where an exception was its reason."""
    measured: Measured


@_event_class
class RescoreEvent:
    """A finalist scored again under a seed that the search has not used."""

    event: Literal["rescore"] = "rescore"
    number: int | None = None
    """The candidate; absent for the space's start."""
    seed: int
    values: dict[str, float] | None = None
    failure: str | None = None


@_event_class
class SnapshotEvent:
    """The strategy's state was saved: a resumed run restores the last one and replays only what came after it."""

    event: Literal["snapshot"] = "snapshot"
    told: int
    """Results that the strategy had been told."""
    asked: int
    """Candidates that it had asked."""
    file: str
    """Name of the file of arrays beside the journal."""
    sha256: str


@_event_class
class Note:
    """Something worth knowing that the replay does not need."""

    event: Literal["note"] = "note"
    kind: Literal["resumed", "finished", "interrupted", "changed", "exhausted"]
    text: str
    at: float = 0.0


Event = Header | AskEvent | ResultEvent | RescoreEvent | SnapshotEvent | Note
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
_KINDS: dict[type[Any], TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (Header, AskEvent, ResultEvent, RescoreEvent, SnapshotEvent, Note)
}
"""How each kind is written."""


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
            body = _written(event)
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


def lineage(asks: Mapping[int, AskEvent], number: int) -> tuple[str, ...]:
    """Texts of the genomes whose trained weights a candidate descends from, oldest first."""
    texts: list[str] = []
    ancestor = asks[number].inherits
    while ancestor is not None:
        ask = asks[ancestor]
        texts.append((ask.genome if ask.same_as is None else asks[ask.same_as].genome) or "")
        ancestor = ask.inherits
    return tuple(reversed(texts))


class _Rated(Protocol):
    @property
    def fidelity(self) -> int | None: ...


Rated = TypeVar("Rated", bound=_Rated)


def at_full(scored: Sequence[Rated]) -> list[Rated]:
    """Those scored at the highest fidelity that any was: only they compare with one another, and one of them wins."""
    highest = max((_height(one.fidelity) for one in scored), default=0)
    return [one for one in scored if _height(one.fidelity) == highest]


def _height(fidelity: int | None) -> float:
    return float("inf") if fidelity is None else fidelity


def canonical(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The part of a journal that is the same for equal runs: asks in order, then results by number, no times."""
    kept = [event for event in events if isinstance(event, AskEvent | ResultEvent)]
    kept.sort(key=lambda event: (isinstance(event, ResultEvent), event.number))
    return [_KINDS[type(event)].dump_python(event, exclude={"measured", "traceback"}) for event in kept]


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
            event = _event(body, self.path, number)
            if wrong := self._order.wrong(event):
                raise JournalError(
                    f"{self.path}, line {number}: {wrong}; restore the file from a copy, or cut it before this line"
                )
            self.good += len(whole)
            yield event


def _event(body: bytes, path: Path, number: int) -> Event:
    """The event of a line without its seal."""
    line = body + b"}"
    try:
        event = _EVENTS.validate_json(line)
        if _KINDS[type(event)].dump_json(event, exclude_none=True) != line:  # what we wrote holds no key twice
            parse_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise JournalError(f"{path}, line {number}: not an event of a journal ({where}: {first['msg']})") from error
    except ValueError as error:
        raise JournalError(f"{path}, line {number}: not an event of a journal ({error})") from None
    return event


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
            self._own.append(event.genome is not None)
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
        if (ask.genome is None) == (ask.same_as is None):
            return f"candidate {ask.number} must have a genome or be the same as an earlier one"
        named = [*ask.parents, *(one for one in (ask.same_as, ask.inherits) if one is not None)]
        if named and not 0 <= min(named) <= max(named) < ask.number:
            return f"candidate {ask.number} names one that was not asked before it"
        if ask.same_as is not None and not self._own[ask.same_as]:
            return f"candidate {ask.number} is the same as {ask.same_as}, which has no genome of its own"
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
    """A device or pipe would be read for ever; a name that is not UTF-8 cannot be recorded or printed."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise JournalError(f"{path} is no file but a device, pipe or folder; name a run folder")
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


def _written(event: Event) -> str:
    """An event's line without its last brace.

    Raises:
        JournalError: it holds text that cannot be written as UTF-8.
    """
    try:
        return _KINDS[type(event)].dump_json(event, exclude_none=True).decode()[:-1]
    except (PydanticSerializationError, UnicodeEncodeError, ValueError) as error:
        raise JournalError(f"a {event.event} cannot be recorded: {error}; use names and texts in UTF-8") from None


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
