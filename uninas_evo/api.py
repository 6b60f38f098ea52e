"""Searching in one call: from Python objects, from a run file, or on from a run folder; and what follows a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uninas_evo.config.runfile import AfterOptions, RunFile
from uninas_evo.contracts import Problem, Strategy
from uninas_evo.engine.display import Display
from uninas_evo.engine.identity import check_prepared
from uninas_evo.engine.journal import count_results, read_header
from uninas_evo.engine.results import SearchResult
from uninas_evo.engine.search import Plan, execute, plan_from, plan_of, reopen
from uninas_evo.errors import RunFileError
from uninas_evo.pool.open import PoolOptions, make_ready
from uninas_evo.progress import open_display
from uninas_evo.sharing.scorer import SupernetScorer
from uninas_evo.spaces.load import read_source
from uninas_evo.training.options import TrainOptions


def search(
    problem: Problem | str | Mapping[str, Any],
    strategy: Strategy | str | Mapping[str, Any] = "evolution",
    *,
    evaluations: int | None = None,
    time_limit_s: float | None = None,
    seed: int = 0,
    pool: PoolOptions | Mapping[str, Any] | None = None,
    after: AfterOptions | Mapping[str, Any] | None = None,
    train: TrainOptions | Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    allow_changed_objective: bool = False,
    quiet: bool = False,
    debug: bool = False,
) -> SearchResult:
    """Searches a problem with a strategy: a whole run in one call.

        result = uninas_evo.search({"start": "coatnet", "objective": "vkdnw"}, "aging", evaluations=200)
        print(result.best.text)

    Args:
        problem: a problem, the name of one, or a run file's `[problem]` table.
        strategy: a strategy made for that problem, the name of one, or a run file's `[strategy]` table.
        evaluations: different genomes to score.
        time_limit_s: seconds that the search may take; one of the two ends is needed.
        seed: every random draw follows from it (of given objects: only what they were made with).
        pool: the `[pool]` table; by default one worker on every GPU, or on every CPU core where there is none.
        after: the `[after]` table; figures are drawn into `out`.
        train: the `[train]` table: trains the winners at the end, into `out`.
        out: run folder to write; None keeps everything in memory.
        resume: goes on with the run in `out`; give the same problem and strategy, freshly made.
        allow_changed_objective: goes on although files that the scores depend on are not the recorded ones.
        quiet: shows nothing.
        debug: scores in this process, whatever `pool` says, and prints the traceback of every failure.

    Raises:
        RunFileError: an option is wrong, or `train` is given without `out`.
        ObjectiveError: the strategy cannot follow as many objectives.
        PoolError: the workers cannot be started, or the start network cannot be scored.
        JournalError: the folder holds a run already, or not the one to resume, or cannot be written.
    """
    content: dict[str, Any] = {
        "seed": seed,
        "evaluations": evaluations,
        "time_limit_s": time_limit_s,
        "pool": dict(pool) if isinstance(pool, Mapping) else (pool or PoolOptions()).model_dump(exclude_unset=True),
        "after": dict(after) if isinstance(after, Mapping) else (after or AfterOptions()).model_dump(),
        "train": train.model_dump() if isinstance(train, TrainOptions) else train,
    }
    plan = plan_from(problem, strategy, {key: value for key, value in content.items() if value is not None})
    given = None if out is None else Path(out)
    return _run(plan, given, quiet, resume=resume, allowed=allow_changed_objective, debug=debug)


def run_file(run: RunFile, out: Path, *, quiet: bool = False, debug: bool = False) -> SearchResult:
    """Runs a run file and writes the run folder `out`; raises as `search`."""
    return _run(plan_of(run), out, quiet, debug=debug)


def resume(
    folder: Path,
    settings: Sequence[str] = (),
    *,
    allow_changed_objective: bool = False,
    trust: bool = False,
    quiet: bool = False,
    debug: bool = False,
) -> SearchResult:
    """Goes on with a run folder, also with more evaluations than it was started with.

    Args:
        folder: what `run` wrote.
        settings: changes such as "evaluations=400"; only what the record does not depend on.
        allow_changed_objective: runs the user's own objective although its file is not the recorded one.
        trust: agrees, once and for all, to running or connecting to what the folder names; needed for a folder that
            no run of this user on this machine wrote.
        quiet: shows nothing.
        debug: as for `search`.

    Raises:
        JournalError: the folder holds no run, cannot be continued, or its objective's file was changed.
        RunFileError: a setting is wrong, or changes what the record depends on.
        PoolError: the workers cannot be started.
    """
    run, changed = reopen(folder, settings, trust=trust or allow_changed_objective)
    wanted = run.options.evaluations if "evaluations" in changed else None
    if wanted is not None and wanted < (scored := count_results(folder)):
        raise RunFileError(
            f"{folder} has scored {scored} genomes, and evaluations is {wanted}: nothing that was "
            f"scored is taken back; set evaluations to {scored} or more"
        )
    allowed = allow_changed_objective
    return _run(plan_of(run), folder, quiet, resume=True, changed=changed, allowed=allowed, debug=debug)


def specialize(folder: Path, genome: str | Path, out: Path, *, trust: bool = False) -> Path:
    """The network of a genome with the shared weights of a run, without a training of its own (Once-for-All).

        load(specialize(Path("ofa"), Path("ofa/picked.txt"), Path("small")))

    Args:
        folder: of a run over shared weights.
        genome: what `load_genome` takes, of the run's space.
        out: the folder to write, which `uninas_evo.load` and `uninas-evo export` read.
        trust: agrees, once and for all, to running what the folder names.

    Raises:
        JournalError: the folder holds no run, or its shared weights are not those that it began with.
        RunFileError: the run trained no shared weights.
        SpaceError: they are those of a smaller search network.
    """
    from uninas_evo.sharing.specialized import specialize as write

    header = read_header(folder)
    run, _ = reopen(folder, trust=trust, header=header)
    problem = run.problem()
    scorer = next((one for one in getattr(problem, "scorers", ()) if isinstance(one, SupernetScorer)), None)
    if scorer is None:
        raise RunFileError(
            f"{folder} trained no shared weights to take a network out of: its run file needs [problem.supernet] and "
            "an objective of it; train the genome instead: uninas-evo train"
        )
    make_ready(run.options.pool, problem, folder, lambda _: None)
    check_prepared(problem, header)
    write(scorer, problem.space, problem.space.decode(read_source(str(genome), ())), out)
    return out


def _run(
    plan: Plan,
    folder: Path | None,
    quiet: bool,
    *,
    resume: bool = False,
    changed: Mapping[str, Any] | None = None,
    debug: bool = False,
    allowed: bool = False,
) -> SearchResult:
    """Runs a plan, then does what its `[after]` and `[train]` tables say."""
    if plan.train is not None:
        _check_training(plan.train, folder)  # hours later would be too late
    display = open_display(quiet)
    result = execute(
        plan,
        folder,
        display=display,
        resume=resume,
        changed=changed,
        allow_changed_objective=allowed,
        debug=debug,
    )
    if folder is not None and result.front and result.end.kind != "interrupted":
        _follow(plan, folder, display)
    return result


def _check_training(options: TrainOptions, folder: Path | None) -> None:
    from uninas_evo.training.protocol import protocol_for
    from uninas_evo.training.tasks import task_class

    if folder is None:
        raise RunFileError("train: trained networks are kept in the run folder, and none is given; set out")
    protocol = protocol_for(options.task, options.protocol)
    task_class(protocol.task).read(options.data, protocol)


def _follow(plan: Plan, folder: Path, display: Display) -> None:
    """Draws the run's figures and trains its winners, where the run file says so."""
    if plan.after.plot:
        from uninas_evo.report.folder import plot_run

        plot_run(folder)
    if plan.train is not None:
        from uninas_evo.compare.train_and_compare import train_and_compare

        train_and_compare(folder, plan.train, display.say)
