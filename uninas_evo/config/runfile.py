"""Run files: what a search is, in TOML; read, checked all at once, and written back with every default filled in."""

from __future__ import annotations

import contextlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from uninas_evo import registry
from uninas_evo.config import strategyfile
from uninas_evo.contracts import Problem, Strategy
from uninas_evo.errors import ObjectiveError, RunFileError, UninasEvoError
from uninas_evo.files import decoded
from uninas_evo.mistakes import check, nearest
from uninas_evo.pool.open import PoolOptions
from uninas_evo.training.options import TrainOptions

FILE_NAME = "run.toml"
MOST_BYTES = 4_000_000
"""Of a run file: a thousand times what people write, and read within a second."""
MOST_EVALUATIONS = 10**12
"""More than any run can score."""
CHANGEABLE = (
    "evaluations",
    "time_limit_s",
    "pool.devices",
    "pool.time_limit_s",
    "pool.memory_limit_gb",
    "after",
    "train",
)
"""What a resumed run may change: nothing that the record depends on."""


class AfterOptions(BaseModel):
    """The `[after]` table: what is done when the search is over."""

    model_config = ConfigDict(extra="forbid")

    rescore: NonNegativeInt = Field(
        8,
        le=10_000,
        description="fresh seeds that the start and the finalists are scored with again; 8 give a standard error that "
        "tells a real gain from a lucky draw; 0 for none",
    )
    finalists: PositiveInt = Field(
        5,
        description="the best so many are finalists: the winner is the one that fresh seeds prefer; of 5 candidates "
        "one is nearly always among the true best, and more cost as much again each",
    )
    plot: bool = Field(True, description="draws the best score so far, or the Pareto front")


class RunOptions(BaseModel):
    """The top of a run file."""

    model_config = ConfigDict(extra="forbid")

    seed: NonNegativeInt = Field(0, description="every random draw of the run follows from it")
    evaluations: PositiveInt | None = Field(
        None,
        le=MOST_EVALUATIONS,
        description="different genomes to score; a genome that was scored already is not charged again",
    )
    time_limit_s: float | None = Field(None, gt=0, description="seconds that the run may take")
    problem: dict[str, Any] = Field(
        default_factory=dict, description="what is optimized: `name`, and that problem's own options"
    )
    strategy: dict[str, Any] = Field(
        default_factory=dict,
        description="what searches: `name`, which may be a class of your own (`file.py:Class`), and its options",
    )
    pool: PoolOptions = Field(default_factory=PoolOptions, description="where candidates are scored")
    after: AfterOptions = Field(default_factory=AfterOptions, description="what is done at the end")
    train: TrainOptions | None = Field(
        None, description="trains the winners against presets and random networks at the end (extra `train`)"
    )


@dataclass(frozen=True)
class RunFile:
    """A checked run file: its options, and the classes that it names.

    Attributes:
        options: the top of the file.
        problem_class: what `problem.name` names, with its options beside it.
        strategy_class: what `strategy.name` names, with its options beside it.
    """

    options: RunOptions
    problem_name: str
    problem_class: type[Problem]
    problem_options: BaseModel
    strategy_name: str
    strategy_class: type[Strategy]
    strategy_options: BaseModel

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it says: the class of a strategy's file is known to no other process until that loads it."""
        return parse_run, (self.resolved(), "a run file", Path())

    def problem(self) -> Problem:
        """A new problem."""
        return self.problem_class.from_options(self.problem_options, self.options.seed)

    def strategy(self, problem: Problem) -> Strategy:
        """A new strategy for a problem.

        Raises:
            ObjectiveError: the strategy cannot follow as many objectives.
        """
        check_objectives(self.strategy_name, self.strategy_class, problem)
        return make_strategy(self.strategy_class, problem, self.options.seed, self.strategy_options.model_dump())

    def resolved(self) -> dict[str, Any]:
        """The file's content with every default filled in; what is None is left out."""
        content = self.options.model_dump(mode="json", exclude_none=True)
        problem = self.problem_options.model_dump(mode="json", exclude_none=True)
        strategy = self.strategy_options.model_dump(mode="json", exclude_none=True)
        content["problem"] = {"name": self.problem_name, **problem}
        content["strategy"] = {"name": self.strategy_name, **strategy}
        return content


def make_strategy(kind: Any, problem: Problem, seed: int, options: Mapping[str, Any]) -> Strategy:
    """A strategy for a problem; its constructor is a convention, not part of the contract."""
    further = {"fidelities": len(problem.fidelities)} if kind.climbs else {}
    strategy: Strategy = kind(problem.space, problem.objectives, seed=seed, **further, **options)
    return strategy


def load_run_file(path: Path, settings: Sequence[str] = ()) -> RunFile:
    """Reads and checks a run file.

    Args:
        path: the TOML file; paths in it are looked for beside it, then in the working folder.
        settings: changes such as "strategy.population=64", the value in TOML.

    Raises:
        RunFileError: the file cannot be read, or holds mistakes; the message lists all of them.
    """
    _, content = read_toml(path, settings)
    if "strategies" in content and "strategy" not in content:
        raise RunFileError(f"{path} is a compare file, not a run file; run it with: uninas-evo compare {path}")
    return parse_run(content, str(path), path.parent)


def read_toml(path: Path, settings: Sequence[str] = ()) -> tuple[str, dict[str, Any]]:
    """The text of a run file or compare file, and its tables with settings applied.

    Raises:
        RunFileError: the file cannot be read or is not TOML, or a setting is wrong.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise RunFileError(f"{path} cannot be read ({error.strerror}); name an existing file") from None
    except UnicodeDecodeError as error:
        raise RunFileError(f"{path} is not TOML: {error}; save it as UTF-8") from None
    content = parse_toml(text, str(path))
    for setting in settings:
        apply_setting(content, setting)
    return text, content


def read_text(path: Path) -> str:
    """The text of a file that a person could have written.

    Raises:
        RunFileError: it is too large, or no file.
    """
    if path.exists() and not path.is_file():
        raise RunFileError(f"{path} is no file; name one")
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise RunFileError(f"{path} must have {MOST_BYTES:,} bytes at most, and has more; name a run file")
    return decoded(content)


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        RunFileError: it is not TOML, or is nested deeper than any run file.
    """
    if max(map(len, re.findall(r"(?:[\w-]+\s*\.\s*){100,}", text)), default=0):
        raise RunFileError(f"{where} is not a run file: it has a name of more than 100 parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise RunFileError(f"{where} is not a run file: it is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, and numbers of more digits than Python reads
        raise RunFileError(f"{where} is not TOML: {error}") from None


def parse_run(content: Mapping[str, Any], where: str, folder: Path) -> RunFile:
    """Checks a run file's content.

    Args:
        content: the tables.
        where: what messages call the file.
        folder: where relative paths in it are looked for first.

    Raises:
        RunFileError: it holds mistakes; the message lists all of them.
    """
    mistakes: list[str] = []
    named: dict[str, Any] = {}
    homes: dict[str, str] = {}
    for kind, default in (("problem", "uninas"), ("strategy", "evolution")):
        table = content.get(kind, {})
        if not isinstance(table, dict):
            continue
        name = table.get("name", default)
        try:
            if kind == "strategy" and strategyfile.is_file(name):
                name = strategyfile.located(name, folder)
                found = strategyfile.load(name)
            else:
                found = registry.find(kind, name)
        except RunFileError as error:
            mistakes.append(f"{kind}.name: {error}")
            continue
        fields = {key: value for key, value in table.items() if key != "name"}
        own, more = check(found.Options, fields, (kind,), folder)
        mistakes += more
        named[kind] = (name, found, own)
        homes |= dict.fromkeys(found.Options.model_fields, kind)
    misplaced = {field for field in content if field in homes and field not in RunOptions.model_fields}
    options, more = _top({field: value for field, value in content.items() if field not in misplaced}, folder)
    mistakes = [
        *more,
        *(f"{one}: belongs in the table [{homes[one]}], got it at the top" for one in sorted(misplaced)),
        *mistakes,
    ]
    if mistakes or options is None:
        raise listed(mistakes, where)
    return RunFile(options, *named["problem"], *named["strategy"])


def parse_top(content: Mapping[str, Any], where: str) -> RunOptions:
    """Checks a run's options without its problem and strategy.

    Raises:
        RunFileError: they hold mistakes; the message lists all of them.
    """
    options, mistakes = _top(content, Path())
    if mistakes or options is None:
        raise listed(mistakes, where)
    return options


def _top(content: Mapping[str, Any], folder: Path) -> tuple[RunOptions | None, list[str]]:
    options, mistakes = check(RunOptions, content, (), folder)
    if options is not None and options.evaluations is None and options.time_limit_s is None:
        mistakes.append("evaluations: a run needs an end, and none is given; set evaluations or time_limit_s")
    return options, mistakes


def listed(mistakes: Sequence[str], where: str) -> RunFileError:
    """The error that tells all mistakes of a file, a line each."""
    count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return RunFileError(f"{where} holds {count}:\n" + "\n".join(f"  {mistake}" for mistake in mistakes))


def apply_setting(content: dict[str, Any], setting: str) -> None:
    """Changes one field in place: "strategy.population=64"; a value that is not TOML is taken as a string.

    Raises:
        RunFileError: there is no "=", or the field lies inside something that is no table.
    """
    name, equals, text = setting.partition("=")
    if not equals or not name.strip():
        raise RunFileError(f"--set takes FIELD=VALUE, such as strategy.population=64; got {setting!r}")
    try:
        parsed = tomllib.loads(f"value = {text}")
        value = parsed["value"] if len(parsed) == 1 else text
    except (ValueError, RecursionError):
        value = text
    *tables, field = name.strip().split(".")
    for table in tables:
        content = content.setdefault(table, {})
        if not isinstance(content, dict):
            raise RunFileError(f"--set {setting}: {table!r} must be a table to hold {field!r}, it is {content!r}")
    content[field] = value


def changes(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Fields, by dotted name, whose values differ, with the new value (None where it is gone)."""
    found: dict[str, Any] = {}
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found.update(changes(old, new, f"{prefix}{name}."))
        elif old != new:
            found[prefix + name] = new
    return found


def check_changes(changed: Mapping[str, Any], where: str) -> None:
    """Refuses changes that the record of a run depends on.

    Raises:
        RunFileError: a field is not one of `CHANGEABLE`.
    """
    wrong = [name for name in changed if not any(name == free or name.startswith(f"{free}.") for free in CHANGEABLE)]
    if wrong:
        raise RunFileError(
            f"{where}: a run that has begun cannot change {', '.join(wrong)}, since its record depends on it; "
            f"only {', '.join(CHANGEABLE)} may change: undo it, or start a new run{nearest(wrong[0], CHANGEABLE)}"
        )


def check_objectives(name: str, strategy: type[Strategy], problem: Problem) -> None:
    """Raises an `ObjectiveError` where a strategy cannot serve the problem: by objectives or learning."""
    if strategy.asks_learned and not problem.derives:
        raise ObjectiveError(
            f"the strategy {name} asks for what a learner's policy prefers, and nothing of the kind is learned here: "
            'add [problem.supernet] with a learner that has a policy, such as learner = "darts"'
        )
    several = len(problem.objectives) > 1
    if strategy.objectives_allowed == ("one" if several else "several"):
        wanted = "several" if several else "one"
        names = ", ".join(objective.name for objective in problem.objectives)
        raise ObjectiveError(
            f"the strategy {name} follows {strategy.objectives_allowed} objective{'' if several else 's'}, and the "
            f"problem has {len(problem.objectives)} ({names}); use one of: {', '.join(_following(wanted))}"
        )


def _following(wanted: str) -> Iterator[str]:
    """Names of the installed strategies that can follow as many objectives."""
    for name in registry.names("strategy"):
        with contextlib.suppress(UninasEvoError):  # a strategy that cannot be imported is no answer
            found = registry.find("strategy", name)
            if found.objectives_allowed in ("any", wanted) and not found.asks_learned:  # these need a learner beside
                yield name


def to_toml(content: Mapping[str, Any], path: str = "") -> str:
    """TOML of nested tables; tables come after the plain fields of the table they stand in."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in content.items() if not isinstance(value, Mapping)]
    for key, value in content.items():
        if isinstance(value, Mapping):
            lines.append(f"\n[{path}{_key(key)}]\n{to_toml(value, f'{path}{_key(key)}.')}".rstrip())
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)  # inf, -inf, nan are TOML
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
