"""Whole searches: what one is made of, how it is run, and how a run folder is opened again."""

from __future__ import annotations

import contextlib
import datetime
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from uninas_evo.config import registry, runfile
from uninas_evo.config.runfile import AfterOptions, RunFile
from uninas_evo.contracts import Problem, Strategy
from uninas_evo.engine import journal as journals
from uninas_evo.engine.display import Display
from uninas_evo.engine.finalists import rescore, size_alarm, warnings, write_folder
from uninas_evo.engine.journal import Header, Journal, Note, read_journal
from uninas_evo.engine.loop import Loop
from uninas_evo.engine.preflight import preflight
from uninas_evo.engine.results import SearchResult, evaluations, ranked
from uninas_evo.engine.versions import file_hashes, git_state, host, versions
from uninas_evo.errors import JournalError, RunFileError
from uninas_evo.files import write_text
from uninas_evo.pool.contract import Pool
from uninas_evo.pool.open import PoolOptions, make_ready, open_pool
from uninas_evo.training.options import TrainOptions


@dataclass(frozen=True)
class Plan:
    """All that a run is made of.

    Attributes:
        content: the resolved run file, for the header; without `problem` or `strategy` where those are objects.
    """

    problem: Problem
    strategy: Strategy
    seed: int
    evaluations: int | None
    time_limit_s: float | None
    pool: PoolOptions
    after: AfterOptions
    content: Mapping[str, Any]
    train: TrainOptions | None = None


def reopen(folder: Path, settings: Sequence[str] = ()) -> tuple[RunFile, dict[str, Any]]:
    """The run file of a run folder with changes, and those changes by dotted name; runs nothing of it."""
    recorded = read_journal(folder)[0].run
    missing = [name for name in ("problem", "strategy") if name not in recorded]
    if missing:
        raise JournalError(
            f"{folder} was started from Python with a {' and a '.join(missing)} that no run file names; "
            f"continue it with uninas_evo.search(..., out={str(folder)!r}, resume=True)"
        )
    path = folder / runfile.FILE_NAME
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig")) if path.exists() else dict(recorded)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RunFileError(f"{path} cannot be read: {error}; delete it to go on as the run was started") from None
    for setting in settings:
        runfile.apply_setting(content, setting)
    run = runfile.parse_run(content, str(path), folder)
    before = runfile.parse_run(recorded, str(folder / journals.FILE_NAME), folder)  # fields that are new get defaults
    changed = runfile.changes(before.resolved(), run.resolved())
    runfile.check_changes(changed, str(path))
    return run, changed


def check_sources(problem: Problem, header: Header, folder: Path, allowed: bool) -> None:
    """Refuses to run a file of the user's own code that is not the recorded one.

    Raises:
        JournalError: a file's hash differs, or a file lies inside the run folder, where nobody's own code lies.
    """
    if allowed:
        return
    now = file_hashes(problem.sources)
    for path in problem.sources:
        if path.resolve().is_relative_to(folder.resolve()):
            raise JournalError(
                f"the objective's file {path} lies inside the run folder; a run folder from elsewhere could run "
                f"anything that way: read the file, and give --allow-changed-objective if you trust it"
            )
    for name in sorted(now.keys() | header.sources.keys()):
        if now.get(name) != header.sources.get(name):
            raise JournalError(
                f"the objective's file {name} is not the one that this run was started with (SHA-256 recorded "
                f"{str(header.sources.get(name))[:12]}, now {str(now.get(name))[:12]}): scores from two versions do "
                f"not compare; restore it, or give --allow-changed-objective"
            )


def plan_of(run: RunFile) -> Plan:
    """The problem and strategy of a run file, made anew."""
    problem = run.problem()
    options = run.options
    return Plan(
        problem,
        run.strategy(problem),
        options.seed,
        options.evaluations,
        options.time_limit_s,
        options.pool,
        options.after,
        run.resolved(),
        options.train,
    )


def plan_from(problem: Any, strategy: Any, content: dict[str, Any]) -> Plan:
    """A plan of objects, names and tables."""
    tables = {
        kind: {"name": given} if isinstance(given, str) else dict(given)
        for kind, given in (("problem", problem), ("strategy", strategy))
        if isinstance(given, str | Mapping)
    }
    if len(tables) == 2:
        return plan_of(runfile.parse_run(content | tables, "the search", Path()))
    top = runfile.parse_top(content, "the search")
    if isinstance(strategy, Strategy) and not isinstance(problem, Problem):
        raise RunFileError("a strategy that was made already needs the problem it was made for, not its name")
    if not isinstance(strategy, Strategy):
        name = tables["strategy"].pop("name", "evolution")
        kind = registry.find("strategy", name)
        runfile.check_objectives(name, kind, problem)
        strategy = kind(problem.space, problem.objectives, seed=top.seed, **tables["strategy"])
        tables["strategy"] = {"name": name, **strategy.options.model_dump(mode="json", exclude_none=True)}
    resolved = top.model_dump(mode="json", exclude_none=True, exclude={"problem", "strategy"})
    return Plan(
        problem,
        strategy,
        top.seed,
        top.evaluations,
        top.time_limit_s,
        top.pool,
        top.after,
        resolved | tables,
        top.train,
    )


def execute(
    plan: Plan,
    folder: Path | None,
    *,
    display: Display | None = None,
    resume: bool = False,
    changed: Mapping[str, Any] | None = None,
    pool: Pool | None = None,
) -> SearchResult:
    """Runs a plan to its end: replay, workers, loop, what comes after, and the folder's files.

    Args:
        plan: what to run.
        folder: the run folder, None to keep everything in memory.
        display: shows the progress; nothing is shown without one.
        resume: whether the folder holds a part of this run already.
        changed: fields that differ from the run's header, for a note.
        pool: workers that are there already; they are left open.

    Raises:
        RunFileError: the strategy asks for a whole space, and `evaluations` is not its number of genomes.
    """
    _check_count(plan)
    display = display or Display()
    journal = _open_journal(folder, resume)
    try:
        if journal.header is not None:
            _check_header(journal.header, journal.path, plan)
        loop = Loop(
            plan.problem,
            plan.strategy,
            journal,
            evaluations=plan.evaluations,
            time_limit_s=plan.time_limit_s,
            watch=display.update,
        )
        if journal.events:
            loop.replay()
        with contextlib.ExitStack() as stack:
            workers = cache(lambda: pool or stack.enter_context(_open(plan, folder, display)))
            end = loop.ended() if journal.events else None
            if end is None or end.kind == "interrupted":
                stack.callback(display.ended)
                before = preflight(plan.problem, workers())
                _begin(journal, plan, folder, loop, workers(), changed or {})
                display.started(loop, before)
                end = loop.run(workers())
                display.ended()
            elif folder is not None:
                _write_run_file(folder, plan)
            return _conclude(plan, loop, end, workers, folder)
    finally:
        journal.close()


def _check_count(plan: Plan) -> None:
    """Refuses to walk a whole space whose size was not confirmed."""
    count = plan.strategy.exactly
    if count is not None and count != plan.evaluations:
        raise RunFileError(
            f"{type(plan.strategy).__name__} asks for all {count:,} genomes of the space, and evaluations must confirm "
            f"it, got {plan.evaluations}; set evaluations = {count}, or use another strategy"
        )


def _open(plan: Plan, folder: Path | None, display: Display) -> Pool:
    """Workers for a problem that was made ready."""
    make_ready(plan.pool, plan.problem, folder, display.say)
    return open_pool(plan.pool, plan.problem)


def _conclude(plan: Plan, loop: Loop, end: Note, pool: Callable[[], Pool], folder: Path | None) -> SearchResult:
    """Finds the best, scores it again, and writes the folder's files."""
    objectives = plan.problem.objectives
    found = evaluations(loop)
    order = ranked(found, objectives)
    best = order[:1] if len(objectives) == 1 else order
    rescored = None
    if plan.after.rescore and order and end.kind != "interrupted" and len(objectives) == 1:
        rescored = rescore(plan.problem, pool, order[:2], plan.seed, plan.after.rescore, loop.journal)
    scored = [one for one in found if one.failure is None]
    values = {objective.name: [one.values[objective.name] for one in scored] for objective in objectives}
    size = size_alarm(objectives, [one.cost for one in scored], values)
    result = SearchResult(found, best, rescored, end, folder, warnings(size, rescored))
    if folder is not None:
        write_folder(folder, plan.problem, loop, result, size)
    return result


def _open_journal(folder: Path | None, resume: bool) -> Journal:
    """The journal of a new or a continued run.

    Raises:
        JournalError: a new run's folder holds one already, a continued one's holds none, or it cannot be written.
    """
    if folder is None:
        return Journal(None)
    path = folder / journals.FILE_NAME
    if resume:
        read_journal(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(
            f"the run folder {folder} cannot be made ({error.strerror}); choose another with --out"
        ) from None
    journal = Journal(path)
    if journal.events and not resume:
        journal.close()
        raise JournalError(
            f"{folder} holds a run already; continue it with `uninas-evo resume {folder}`, "
            f"or choose another folder with --out"
        )
    return journal


def _check_header(header: Header, path: Path | None, plan: Plan) -> None:
    now = {objective.name: objective.goal for objective in plan.problem.objectives}
    if header.seed != plan.seed or header.objectives != now:
        raise JournalError(
            f"{path} is another run: it has seed {header.seed} and objectives {header.objectives}, "
            f"this one has seed {plan.seed} and {now}; give the same, or another folder"
        )


def _begin(
    journal: Journal, plan: Plan, folder: Path | None, loop: Loop, pool: Pool, changed: Mapping[str, Any]
) -> None:
    """Writes the header of a new run, or a note that it goes on."""
    facts = host() | {"devices": "; ".join(pool.devices)}
    if journal.events:
        where = f"on {facts['name']}, {facts['devices']}"
        journal.append(Note(kind="resumed", text=where, at=loop.elapsed_s))
        text = ", ".join(f"{name} = {value}" for name, value in changed.items())
        noted = [event.text for event in journal.events if isinstance(event, Note) and event.kind == "changed"]
        if text and noted[-1:] != [text]:
            journal.append(Note(kind="changed", text=text, at=loop.elapsed_s))
    else:
        header = Header(
            run=dict(plan.content),
            seed=plan.seed,
            objectives={objective.name: objective.goal for objective in plan.problem.objectives},
            units={objective.name: objective.unit for objective in plan.problem.objectives if objective.unit},
            versions=versions(),
            host=facts,
            git=git_state(),
            sources=file_hashes(plan.problem.sources),
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        journal.append(header)
    if folder is not None:
        _write_run_file(folder, plan)


def _write_run_file(folder: Path, plan: Plan) -> None:
    write_text(folder / runfile.FILE_NAME, runfile.to_toml(plan.content))
