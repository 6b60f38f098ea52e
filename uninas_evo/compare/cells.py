"""The runs of a comparison: one cell a strategy and seed, each a run folder that resumes.

The cells of one problem and seed go to one worker, one after the other, and share their scores: a genome that
several strategies ask for is scored once. Everything random follows from the seed, so neither the order nor the
number of workers changes a cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from uninas_evo.compare.analysis import Cell
from uninas_evo.compare.comparefile import CompareFile
from uninas_evo.compare.sharing import Timed, fresh_seeds, recall, rescored
from uninas_evo.config.runfile import RunFile, changes, check_changes
from uninas_evo.contracts import Problem
from uninas_evo.engine.identity import check_sources, current_sources
from uninas_evo.engine.journal import FILE_NAME as JOURNAL
from uninas_evo.engine.journal import read_journal
from uninas_evo.engine.search import execute, plan_of
from uninas_evo.errors import JournalError, PoolError
from uninas_evo.files import write_text
from uninas_evo.pool.caching import CachingPool, Known
from uninas_evo.pool.contract import Pool
from uninas_evo.pool.simulated import SimulatedPool
from uninas_evo.report.record import read_run

CELL_FILE = "cell.json"


class CellFacts(BaseModel):
    """What a comparison knows of a cell beside its journal.

    Attributes:
        evaluations: how many it ran.
        rescore: with how many fresh seeds.
        asking_s: CPU seconds that the strategy took to ask and be told.
        fresh: genome text -> mean values over fresh seeds.
    """

    evaluations: int | None
    rescore: int
    asking_s: float
    fresh: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Group:
    """The cells of one problem and seed.

    Attributes:
        problem: its name in the compare file.
        seed: the paired seed.
        runs: strategy -> the run file of its cell.
        folders: strategy -> the cell's run folder.
        rescore: how many fresh seeds score again what was ever best.
        simulated_workers: of the simulated clock; None for the real one.
    """

    problem: str
    seed: int
    runs: Mapping[str, RunFile]
    folders: Mapping[str, Path]
    rescore: int
    simulated_workers: int | None = None


def groups(file: CompareFile, out: Path) -> list[Group]:
    """All groups of a comparison, seed by seed, so that one that was interrupted holds whole seeds."""
    return [
        Group(
            problem,
            seed,
            {name: with_seed(run, seed) for name, run in named.items()},
            {name: cell_folder(out, problem, name, seed) for name in named},
            file.options.rescore,
            file.options.simulated_workers,
        )
        for seed in file.seeds
        for problem, named in file.runs.items()
    ]


def with_seed(run: RunFile, seed: int) -> RunFile:
    """The same run file with another seed."""
    return replace(run, options=run.options.model_copy(update={"seed": seed}))


def cell_folder(out: Path, problem: str, strategy: str, seed: int) -> Path:
    """Where a cell's run lies."""
    return out / "cells" / problem / strategy / f"seed-{seed}"


def run_group(group: Group, start: Callable[[Problem], Pool]) -> None:
    """Runs, or continues, the cells of a group one after the other.

    Args:
        group: what to run.
        start: starts the workers that score, where a cell is not complete.

    Raises:
        RunFileError: a cell's folder holds another run than the compare file says.
        JournalError: a cell's folder is damaged or in use, or the user's objective is not the recorded one.
        PoolError: the start cannot be scored, or a run was interrupted.
    """
    known: Known = {}
    for name, run in group.runs.items():
        folder = group.folders[name]
        if begun(folder):
            header = read_journal(folder)[0]
            check_changes(changes(header.run, run.resolved()), str(folder))
            check_sources(current_sources(run.problem()), header)
            known.update(recall(folder))
    missing = {name: run for name, run in group.runs.items() if not _complete(group.folders[name], run, group.rescore)}
    if missing:
        problem = next(iter(missing.values())).problem()
        with closing(CachingPool(start(problem), known)) as pool:
            for name, run in missing.items():
                _run_cell(group.folders[name], run, group, pool)
                pool.drain()


def _run_cell(folder: Path, run: RunFile, group: Group, pool: Pool) -> None:
    plan = plan_of(run)
    timed = Timed(plan.strategy)
    clocked = pool if group.simulated_workers is None else SimulatedPool(pool, group.simulated_workers)
    result = execute(replace(plan, strategy=timed), folder, resume=begun(folder), pool=clocked)
    if result.end.kind == "interrupted":
        raise PoolError(f"{folder}: {result.end.text}; compare again to go on from there")
    fresh = rescored(folder, pool, fresh_seeds(group.seed, group.rescore))
    facts = CellFacts(evaluations=run.options.evaluations, rescore=group.rescore, asking_s=timed.asking_s, fresh=fresh)
    write_text(folder / CELL_FILE, facts.model_dump_json(indent=1))


def _complete(folder: Path, run: RunFile, rescore: int) -> bool:
    """Whether a cell was run and scored again as it should be."""
    if not (folder / CELL_FILE).exists():
        return False
    facts = read_facts(folder)
    return facts.evaluations == run.options.evaluations and facts.rescore == rescore


def begun(folder: Path) -> bool:
    """Whether a run's journal holds its first line: a process may have been killed before it was written."""
    path = folder / JOURNAL
    return path.exists() and b"\n" in path.read_bytes()


def read_cells(some: Iterable[Group]) -> dict[str, dict[str, list[Cell]]]:
    """Problem -> strategy -> the cells in the order of their seeds.

    Raises:
        JournalError: a cell is not complete or damaged.
    """
    cells: dict[str, dict[str, list[Cell]]] = {}
    for group in some:
        for name, folder in group.folders.items():
            facts = read_facts(folder)
            cell = Cell(read_run(folder), facts.fresh, facts.asking_s)
            cells.setdefault(group.problem, {}).setdefault(name, []).append(cell)
    return cells


def read_facts(folder: Path) -> CellFacts:
    """What a comparison wrote beside a cell's journal.

    Raises:
        JournalError: the cell is not complete, or the file is damaged.
    """
    path = folder / CELL_FILE
    try:
        return CellFacts.model_validate_json(path.read_bytes())
    except OSError as error:
        reason = str(error.strerror)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    raise JournalError(
        f"{path} cannot be read ({reason}): it must hold what a comparison wrote when the run beside it ended; "
        f"delete it and compare again"
    )
