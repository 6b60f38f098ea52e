"""What a journal's lines hold: one class an event, and what is read from events alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar, cast, dataclass_transform

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticSerializationError

from uninas_evo.contracts import Ancestor, Constraint, Cost, Goal
from uninas_evo.errors import JournalError
from uninas_evo.files import parse_json

VERSION = 3
"""Since 2 an ask holds its costs by name, and may have a fidelity and what it inherits from; since 3 proxies score what
stands for a genome, and an ask may share the result of another genome."""

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
    """The genome's text; absent where it is that of `same_as`."""
    same_as: int | None = None
    """The first candidate with the same genome, or one that scores alike, whose result this one shares."""
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


def parsed(body: bytes, path: Path, number: int) -> Event:
    """The event of a line without its seal.

    Args:
        body: the line, without its last brace.
        path: of the journal, for messages.
        number: of the line.

    Raises:
        JournalError: it is no event.
    """
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


def written(event: Event) -> str:
    """An event's line without its last brace.

    Raises:
        JournalError: it holds text that cannot be written as UTF-8.
    """
    try:
        return _KINDS[type(event)].dump_json(event, exclude_none=True).decode()[:-1]
    except (PydanticSerializationError, UnicodeEncodeError, ValueError) as error:
        raise JournalError(f"a {event.event} cannot be recorded: {error}; use names and texts in UTF-8") from None


def lineage(asks: Mapping[int, AskEvent], number: int) -> tuple[Ancestor, ...]:
    """The candidates whose trained weights one descends from, oldest first; one asked before is its first self."""
    found: list[Ancestor] = []
    ask = asks[number]
    while ask.inherits is not None:
        ask = asks[ask.inherits]
        if ask.genome is None and ask.same_as is not None:
            ask = asks[ask.same_as]
        found.append(Ancestor(ask.genome or "", ask.fidelity))
    return tuple(reversed(found))


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
