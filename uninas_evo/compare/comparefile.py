"""Compare files: a run file with several strategies, several seeds and, where wanted, several problems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from uninas_evo.config.runfile import RunFile, check_objectives, listed, parse_run, read_toml
from uninas_evo.errors import RunFileError
from uninas_evo.mistakes import check, nearest
from uninas_evo.pool.open import PoolOptions

Table = dict[str, Any]
LONGEST_NAME = 200
"""Bytes of a name: a file's may take 255, and ours are longer by an ending."""
UNKNOWN = ""
"""Stands for a baseline that is wrong or missing, which was told already."""


class CompareOptions(BaseModel):
    """The top of a compare file."""

    model_config = ConfigDict(extra="forbid")

    evaluations: PositiveInt = Field(description="different genomes that every run scores")
    seeds: PositiveInt = Field(
        10, description="runs of each strategy; with 10, p < 0.01 can be reached after the correction for five others"
    )
    first_seed: NonNegativeInt = Field(0, description="the runs' seeds count from here")
    baseline: str = Field(description="the strategy that the others are tested against")
    rescore: NonNegativeInt = Field(
        8,
        description="fresh seeds that score again what each run held as best; 0 where scores have no noise",
    )
    problem: Table = Field(default_factory=dict, description="what is optimized; shared by all `problems`")
    problems: dict[str, Table] = Field(
        default_factory=dict, description="several problems by name: fields that replace those of `problem`"
    )
    strategies: dict[str, Table] = Field(
        min_length=1, description="what is compared, by name: `name` of the strategy where it differs, options"
    )
    simulated_workers: PositiveInt | None = Field(
        None,
        description="runs go by a simulated clock of so many workers, for problems whose values tell their `seconds`; "
        "what is reached is then also told by seconds",
    )
    target: float | None = Field(
        None, description="the value whose first time is told on a simulated clock; unset: the problem's optimum"
    )
    pool: PoolOptions = Field(default_factory=PoolOptions, description="where runs go: one at a time on each device")


@dataclass(frozen=True)
class CompareFile:
    """A checked compare file.

    Attributes:
        options: its content.
        runs: problem name -> strategy name -> the run file of the first seed.
        text: the file as it was read.
    """

    options: CompareOptions
    runs: Mapping[str, Mapping[str, RunFile]]
    text: str

    @property
    def seeds(self) -> range:
        """The paired seeds."""
        return range(self.options.first_seed, self.options.first_seed + self.options.seeds)


def load_compare_file(path: Path, settings: Sequence[str] = ()) -> CompareFile:
    """Reads and checks a compare file.

    Args:
        path: the TOML file; paths in it are looked for beside it, then in the working folder.
        settings: changes such as "seeds=20", the value in TOML.

    Raises:
        RunFileError: the file cannot be read, or holds mistakes; the message lists all of them.
        ObjectiveError: a strategy cannot follow as many objectives as a problem has.
        DataError: a problem's table or data is missing.
    """
    text, content = read_toml(path, settings)
    if "strategy" in content and "strategies" not in content:
        raise RunFileError(f"{path} is a run file, not a compare file; run it with: uninas-evo run {path}")
    options, mistakes = check(CompareOptions, content, (), path.parent)
    if options is None:
        options = _without(content, {re.split(r"[.:]", mistake)[0] for mistake in mistakes})
    if options is None:
        raise listed(mistakes, str(path))
    mistakes += [
        f"{kind}: {name[:80]!r} names a folder of the comparison and must hold no separator, begin with no dot, and "
        f"take {LONGEST_NAME} bytes at most; rename it"
        for kind, named in (("strategies", options.strategies), ("problems", options.problems))
        for name in named
        if not re.fullmatch(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]*", name) or len(name.encode()) > LONGEST_NAME
    ]
    runs = _runs(options, path, mistakes)
    if options.baseline not in (*options.strategies, UNKNOWN):
        mistakes.append(
            f"baseline: must be one of the strategies {', '.join(options.strategies)}, got "
            f"{options.baseline!r}{nearest(options.baseline, options.strategies)}"
        )
    if mistakes:
        raise listed(mistakes, str(path))
    for named in runs.values():
        problem = next(iter(named.values())).problem()
        for run in named.values():
            check_objectives(run.strategy_name, run.strategy_class, problem)
    return CompareFile(options, runs, text)


def _without(content: Table, wrong: set[str]) -> CompareOptions | None:
    """The options without wrong fields, so that mistakes inside the tables are told too; None where no tables are left.

    What is needed and wrong or missing has a stand-in.
    """
    right = {name: value for name, value in content.items() if name not in wrong}
    try:
        return CompareOptions.model_validate({"evaluations": 1, "baseline": UNKNOWN} | right)
    except ValidationError:
        return None


def run_content(options: CompareOptions, problem: str, strategy: str, seed: int) -> Table:
    """The run file of one cell, as tables."""
    return {
        "seed": seed,
        "evaluations": options.evaluations,
        "problem": {**options.problem, **options.problems.get(problem, {})},
        "strategy": {"name": strategy, **options.strategies[strategy]},
        "pool": {**options.pool.model_dump(exclude_unset=True), "devices": "in-process"},
        "after": {"rescore": 0, "plot": False},
    }


def _runs(options: CompareOptions, path: Path, mistakes: list[str]) -> dict[str, dict[str, RunFile]]:
    """The run files of the first seed; what is wrong with them joins `mistakes`, each once."""
    runs: dict[str, dict[str, RunFile]] = {}
    for problem in options.problems or [str(options.problem.get("name", "uninas"))]:
        for strategy in options.strategies:
            content = run_content(options, problem, strategy, options.first_seed)
            try:
                run = parse_run(content, str(path), path.parent)
            except RunFileError as error:
                for line in str(error).splitlines()[1:]:
                    told = _told(line.strip(), options, problem, strategy)
                    if told not in mistakes:
                        mistakes.append(told)
                continue
            runs.setdefault(problem, {})[strategy] = run
    return runs


def _told(line: str, options: CompareOptions, problem: str, strategy: str) -> str:
    """A mistake of a run file, with the field's name in the compare file."""
    if line.startswith("strategy."):
        return line.replace("strategy.", f"strategies.{strategy}.", 1)
    field = line.removeprefix("problem.").split(":")[0].split(".")[0]
    if line.startswith("problem.") and field in options.problems.get(problem, {}):
        return line.replace("problem.", f"problems.{problem}.", 1)
    return line
