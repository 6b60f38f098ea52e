"""Whole searches: what one is made of, how it is run, and how a run folder is opened again."""

from __future__ import annotations

import contextlib
import copy
import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from uninas_evo import registry
from uninas_evo.config import runfile, strategyfile
from uninas_evo.config.runfile import AfterOptions, RunFile
from uninas_evo.contracts import Problem, Strategy
from uninas_evo.engine import identity
from uninas_evo.engine import journal as journals
from uninas_evo.engine.display import Display
from uninas_evo.engine.events import Header, Note, at_full
from uninas_evo.engine.finalists import preferred, rescore, size_alarm, unmet, warnings, write_folder
from uninas_evo.engine.journal import Journal, read_header
from uninas_evo.engine.loop import Loop
from uninas_evo.engine.preflight import preflight
from uninas_evo.engine.results import Evaluation, SearchResult, evaluations, ranked
from uninas_evo.engine.trust import demand, remember
from uninas_evo.engine.versions import git_state, host, versions
from uninas_evo.errors import JournalError, RunFileError
from uninas_evo.files import write_text
from uninas_evo.pool.contract import Pool
from uninas_evo.pool.in_process import InProcessPool
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


def reopen(
    folder: Path, settings: Sequence[str] = (), *, trust: bool | None = None, header: Header | None = None
) -> tuple[RunFile, dict[str, Any]]:
    """The run file of a run folder with changes, and those changes by dotted name; runs nothing of it.

    Args:
        folder: the run folder.
        settings: changes such as "evaluations=400".
        trust: whether the user agrees to what the folder names; None where nothing of it will run.
        header: of its journal, where that was read already.

    Raises:
        JournalError: the folder cannot be read, or names code that the user has not agreed to.
        RunFileError: its run file is wrong, or changes what the record depends on.
    """
    header = header or read_header(folder)
    recorded = identity.relocated(identity.completed(header), header, folder)
    missing = [name for name in ("problem", "strategy") if name not in recorded]
    if missing:
        raise JournalError(
            f"{folder} was started from Python with a {' and a '.join(missing)} that no run file names; "
            f"continue it with uninas_evo.search(..., out={str(folder)!r}, resume=True)"
        )
    path = folder / runfile.FILE_NAME
    try:
        content = runfile.parse_toml(runfile.read_text(path), str(path)) if path.exists() else dict(recorded)
    except (OSError, UnicodeDecodeError, RunFileError) as error:
        raise RunFileError(f"{path} cannot be read: {error}; delete it to go on as the run was started") from None
    content = identity.relocated(identity.completed(header, content), header, folder)
    held = copy.deepcopy(content)  # what the user sets now needs no agreement
    for setting in settings:
        runfile.apply_setting(content, setting)
    for tables in (content, recorded):  # reading a run file executes such a strategy's file
        name = _name(tables.get("strategy"))
        if strategyfile.is_file(name):
            strategyfile.check_recorded(name, header.strategy_source, folder)
            demand(held, folder, header, given=bool(trust))
    run = runfile.parse_run(content, str(path), folder)
    before = runfile.parse_run(recorded, str(folder / journals.FILE_NAME), folder)  # fields that are new get defaults
    changed = runfile.changes(identity.by_hash(before.resolved(), header), identity.by_hash(run.resolved(), header))
    runfile.check_changes(changed, str(path))
    if trust is not None:
        demand(held, folder, header, given=trust)
    return run, changed


def _name(table: Any) -> Any:
    return table.get("name") if isinstance(table, Mapping) else None


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
        strategy = runfile.make_strategy(kind, problem, top.seed, tables["strategy"])
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
    debug: bool = False,
    allow_changed_objective: bool = False,
) -> SearchResult:
    """Runs a plan to its end: replay, workers, loop, what comes after, and the folder's files.

    Args:
        plan: what to run.
        folder: the run folder, None to keep everything in memory.
        display: shows the progress; nothing is shown without one.
        resume: whether the folder holds a part of this run already.
        changed: fields that differ from the run's header, for a note.
        pool: workers that are there already; they are left open.
        debug: scores in this process and prints the traceback of every failure.
        allow_changed_objective: goes on although files that the scores depend on are not the recorded ones.

    Raises:
        RunFileError: the strategy asks for a whole space, and `evaluations` is not its number of genomes.
    """
    _check_count(plan)
    display = display or Display()
    others = folder is not None and not resume and folder.is_dir() and any(folder.iterdir())
    journal = _open_journal(folder, resume)
    if others:
        display.say(f"{folder} holds other files already; the run's files are written beside them")
    try:
        sources = identity.current_sources(plan.problem)
        if journal.header is not None:
            _check_header(journal.header, journal.path, plan)
            identity.check_canonical(plan.problem, journal.header)
            identity.check_sources(sources, journal.header, allowed=allow_changed_objective)
        if folder is not None:
            remember(plan.content)
        loop = Loop(
            plan.problem,
            plan.strategy,
            journal,
            evaluations=plan.evaluations,
            time_limit_s=plan.time_limit_s,
            watch=display.update,
        )
        ready = cache(lambda: _make_ready(plan, folder, display, journal))
        if plan.strategy.asks_learned:
            ready()
            plan.strategy.learner = plan.problem.learned
        if journal.events:
            loop.replay()
        with contextlib.ExitStack() as stack:
            workers = cache(lambda: pool or stack.enter_context(_open(plan, ready, sources, debug)))
            end = loop.ended() if journal.events else None
            if end is None or end.kind == "interrupted":
                stack.callback(display.ended)
                cheapest = 0 if plan.strategy.climbs and plan.problem.fidelities else None
                before = preflight(plan.problem, workers(), cheapest)
                _begin(journal, plan, folder, loop, workers(), sources, changed or {})
                display.started(loop, before)
                end = loop.run(workers())
                display.ended()
                if end.kind != "interrupted" and (freed := plan.problem.clean_up(folder)):
                    display.say(f"removed {freed / 1e6:.1f} MB of weights that candidates started from")
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


def _make_ready(plan: Plan, folder: Path | None, display: Display, journal: Journal) -> None:
    """Makes what evaluations share, or finds it unchanged."""
    make_ready(plan.pool, plan.problem, folder, display.say)
    if journal.header is not None:
        identity.check_prepared(plan.problem, journal.header)


def _open(plan: Plan, ready: Callable[[], None], sources: Mapping[str, str], debug: bool) -> Pool:
    """Workers for a problem that was made ready."""
    ready()
    if debug:
        return InProcessPool(plan.problem, threads=plan.pool.threads, sources=sources, debug=True)
    return open_pool(plan.pool, plan.problem, sources)


def _conclude(plan: Plan, loop: Loop, end: Note, pool: Callable[[], Pool], folder: Path | None) -> SearchResult:
    """Finds the best, scores it again, and writes the folder's files."""
    objectives = plan.problem.objectives
    found = evaluations(loop)
    order = _by_estimate(ranked(found, objectives), plan.strategy.ranking())
    rescored = None
    if plan.after.rescore and order and end.kind != "interrupted" and len(objectives) == 1:
        top = order[: plan.after.finalists]
        rescored = rescore(plan.problem, pool, top, plan.seed, plan.after.rescore, loop.journal)
    best = order
    if len(objectives) == 1:
        numbers = preferred([one.number for one in order], loop.journal.events, objectives[0])
        best = [one for one in order if one.number in numbers[:1]]
    scored = at_full([one for one in found if one.failure is None])
    values = {objective.name: [one.values[objective.name] for one in scored] for objective in objectives}
    size = size_alarm(objectives, [one.cost for one in scored], values)
    told = warnings(size, rescored) if order else unmet(scored, plan.problem.constraints)
    result = SearchResult(found, best, rescored, end, folder, told, objectives)
    if folder is not None:
        write_folder(folder, plan.problem, loop, result, size)
    return result


def _by_estimate(order: list[Evaluation], ranking: Sequence[int] | None) -> list[Evaluation]:
    """Best first as the strategy estimates, where it does; what it leaves out follows in its old order."""
    places = {number: place for place, number in enumerate(ranking or ())}
    return sorted(order, key=lambda one: places.get(one.number, len(places)))


def _open_journal(folder: Path | None, resume: bool) -> Journal:
    """The journal of a new or a continued run.

    Raises:
        JournalError: a new run's folder holds one already, a continued one's holds none, or it cannot be written.
    """
    if folder is None:
        return Journal(None)
    path = folder / journals.FILE_NAME
    if resume:
        read_header(folder)  # before anything is made there
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
    journal: Journal,
    plan: Plan,
    folder: Path | None,
    loop: Loop,
    pool: Pool,
    sources: Mapping[str, str],
    changed: Mapping[str, Any],
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
            constraints={one.name: (_finite(one.low), _finite(one.high)) for one in plan.problem.constraints},
            versions=versions(),
            host=facts,
            git=git_state(),
            sources=dict(sources),
            prepared=dict(plan.problem.prepared),
            strategy_source=strategyfile.digest(plan.content.get("strategy", {}).get("name")),
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        journal.append(header)
    if folder is not None:
        _write_run_file(folder, plan)


def _finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


def _write_run_file(folder: Path, plan: Plan) -> None:
    write_text(folder / runfile.FILE_NAME, runfile.to_toml(plan.content))
