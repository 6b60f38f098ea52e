"""DEAP, pymoo and Optuna used bare on NAS-Bench-201, beside the strategies that drive them here.

    python tests/benchmarks/bare.py --table nasbench201_test_accuracy.csv.gz [--seeds 50] [--evaluations 200]

The bare programs are written as each library's documentation shows for six choices of five options, with the sizes of
our defaults. Both sides are charged for distinct evaluations alone and get equally many. Ours runs whole: the loop
with its journal on disk, in this process. Prints, for each:

- the median number of evaluations until the optimum (infinite: not within the limit) and how many runs found it, or,
  with accuracy and parameters as objectives, the share of the true front's hypervolume that was found;
- ms an evaluation of the processor's time, which other programs disturb less than the clock's: what the search costs.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from conditions import conditions
from deap import algorithms, base, creator, tools
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.mixed import (
    MixedVariableDuplicateElimination,
    MixedVariableGA,
    MixedVariableMating,
    MixedVariableSampling,
)
from pymoo.core.problem import ElementwiseProblem
from pymoo.core.variable import Choice
from pymoo.optimize import minimize

from uninas_evo.engine.events import Header
from uninas_evo.engine.journal import Journal
from uninas_evo.engine.loop import Loop
from uninas_evo.engine.results import evaluations
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.problems.nasbench201 import Cell, NASBench201Problem
from uninas_evo.registry import find
from uninas_evo.spaces.nasbench201.space import EDGES, OPERATIONS
from uninas_evo.stats.fronts import Box, minimized

CALLS = 20
"""Looks at a cell, repeated ones too, that a bare program may take for each distinct one before it counts as stuck."""


class Enough(Exception):
    """Ends a bare program, which only knows numbers of generations or calls."""


class Table:
    """The objective of the bare programs: looks up, remembers what was scored in which order, and ends the search."""

    def __init__(self, problem: NASBench201Problem, limit: int) -> None:
        self.problem, self.limit, self.calls = problem, limit, 0
        self.seen: dict[Cell, tuple[float, ...]] = {}

    def __call__(self, operations: Sequence[str]) -> tuple[float, ...]:
        """The values of six operations, in the order of the objectives."""
        cell = Cell(tuple(operations))
        self.calls += 1
        if cell not in self.seen:
            if len(self.seen) == self.limit:
                raise Enough
            values = self.problem.evaluate(cell, "cpu")
            self.seen[cell] = tuple(values[objective.name] for objective in self.problem.objectives)
        if self.calls > CALLS * self.limit:
            raise Enough
        return self.seen[cell]


creator.create("Accuracy", base.Fitness, weights=(1.0,))
creator.create("Six", list, fitness=creator.Accuracy)


def deap_bare(table: Table, seed: int) -> None:
    """A list of six integers, `eaMuPlusLambda`, and the operators of DEAP's tutorial for integers."""
    random.seed(seed)
    toolbox = base.Toolbox()
    toolbox.register("integer", random.randrange, len(OPERATIONS))
    toolbox.register("individual", tools.initRepeat, creator.Six, toolbox.integer, len(EDGES))
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("evaluate", lambda individual: table([OPERATIONS[number] for number in individual]))
    toolbox.register("mate", tools.cxUniform, indpb=0.5)
    toolbox.register("mutate", tools.mutUniformInt, low=0, up=len(OPERATIONS) - 1, indpb=1 / len(EDGES))
    toolbox.register("select", tools.selTournament, tournsize=8)
    algorithms.eaMuPlusLambda(
        toolbox.population(16), toolbox, mu=16, lambda_=8, cxpb=0.5, mutpb=0.5, ngen=CALLS * table.limit, verbose=False
    )


class PymooProblem(ElementwiseProblem):
    """Six choices of an operation; pymoo minimizes."""

    def __init__(self, table: Table) -> None:
        self.table = table
        variables = {f"edge_{index}": Choice(options=list(OPERATIONS)) for index in range(len(EDGES))}
        super().__init__(vars=variables, n_obj=len(table.problem.objectives))

    def _evaluate(self, x: dict[str, str], out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        values = self.table([x[f"edge_{index}"] for index in range(len(EDGES))])
        out["F"] = minimized(values, [objective.goal for objective in self.table.problem.objectives])[0]


def pymoo_ga(table: Table, seed: int) -> None:
    """Pymoo's genetic algorithm for choices."""
    algorithm = MixedVariableGA(pop_size=16, n_offsprings=8)
    minimize(PymooProblem(table), algorithm, ("n_gen", CALLS * table.limit), seed=seed)


def pymoo_nsga2(table: Table, seed: int) -> None:
    """Pymoo's NSGA-II with its operators for choices."""
    same = MixedVariableDuplicateElimination()
    algorithm = NSGA2(
        pop_size=24, n_offsprings=12, sampling=MixedVariableSampling(),
        mating=MixedVariableMating(eliminate_duplicates=same), eliminate_duplicates=same,
    )  # fmt: skip
    minimize(PymooProblem(table), algorithm, ("n_gen", CALLS * table.limit), seed=seed)


def optuna_tpe(table: Table, seed: int) -> None:
    """A study with Optuna's default sampler, in memory."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))

    def objective(trial: optuna.Trial) -> float:
        (accuracy,) = table([trial.suggest_categorical(f"edge_{index}", OPERATIONS) for index in range(len(EDGES))])
        return accuracy

    study.optimize(objective, n_trials=CALLS * table.limit)


Run = Callable[[NASBench201Problem, int, int], list[tuple[float, ...]]]
"""Takes a problem, a seed and a number of distinct evaluations; returns their values in order."""


def bare(program: Callable[[Table, int], None]) -> Run:
    """A run of a bare program."""

    def run(problem: NASBench201Problem, seed: int, limit: int) -> list[tuple[float, ...]]:
        table = Table(problem, limit)
        with contextlib.suppress(Enough):
            program(table, seed)
        return list(table.seen.values())

    return run


def ours(name: str) -> Run:
    """A run of one of our strategies, at its defaults, with a journal on disk."""

    def run(problem: NASBench201Problem, seed: int, limit: int) -> list[tuple[float, ...]]:
        goals = {objective.name: objective.goal for objective in problem.objectives}
        with tempfile.TemporaryDirectory() as folder:
            journal = Journal(Path(folder) / "journal.jsonl")
            journal.append(Header(run={}, seed=seed, objectives=goals, versions={}, host={}, started="now"))
            strategy = find("strategy", name)(problem.space, problem.objectives, seed=seed)
            loop = Loop(problem, strategy, journal, evaluations=limit)
            loop.run(InProcessPool(problem))
            journal.close()
        return [tuple(one.values[goal] for goal in goals) for one in evaluations(loop)]

    return run


SINGLE = {
    "DEAP bare": bare(deap_bare), "evolution": ours("evolution"), "aging": ours("aging"),
    "pymoo bare (GA)": bare(pymoo_ga), "Optuna bare (TPE)": bare(optuna_tpe), "bayesian": ours("bayesian"),
}  # fmt: skip
SEVERAL = {"pymoo bare (NSGA-II)": bare(pymoo_nsga2), "nsga2": ours("nsga2")}


def _chosen(programs: dict[str, Run], names: Sequence[str]) -> list[tuple[str, Run]]:
    return [(name, programs[name]) for name in names if name in programs]


def lookup_ms(problem: NASBench201Problem) -> float:
    """Milliseconds of one look into the table."""
    begin = time.perf_counter()
    for cell in problem.space.cells[:2000]:
        problem.evaluate(cell, "cpu")
    return (time.perf_counter() - begin) / 2


def measured(run: Run, problem: NASBench201Problem, seeds: int, limit: int) -> tuple[list[np.ndarray], float]:
    """The values (T, objectives) of each seed's run, and the milliseconds an evaluation."""
    begin = time.process_time()
    found = [np.array(run(problem, seed, limit)) for seed in range(seeds)]
    return found, (time.process_time() - begin) * 1e3 / sum(map(len, found))


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="the benchmark's table, as for the problem")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--only", nargs="+", default=[*SINGLE, *SEVERAL], metavar="PROGRAM", help="such as bayesian")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns of every study that is ended from inside
    print(f"{conditions()}\n{arguments.seeds} seeds, {arguments.evaluations} evaluations")
    for dataset in ("cifar10", "cifar100"):
        problem = NASBench201Problem(arguments.table, dataset)
        print(f"\n{dataset}\n| program | evaluations to the optimum | found | mean best | ms an evaluation |")
        for name, run in _chosen(SINGLE, arguments.only):
            found, spent = measured(run, problem, arguments.seeds, arguments.evaluations)
            took = [next((n for n, v in enumerate(r[:, 0], 1) if v >= problem.optimum), math.inf) for r in found]
            best = statistics.mean(values.max() for values in found)
            reached = sum(map(math.isfinite, took))
            print(f"| {name} | {statistics.median(took):.0f} | {reached} | {best:.3f} | {spent:.2f} |", flush=True)
    problem = NASBench201Problem(arguments.table, "cifar10", ["accuracy", "params"])
    goals = [objective.goal for objective in problem.objectives]
    every = minimized([list(problem.evaluate(cell, "cpu").values())[:2] for cell in problem.space.cells], goals)
    box = Box.around(every)
    print("\ncifar10, accuracy and parameters\n| program | share of the hypervolume (sd) | ms an evaluation |")
    for name, run in _chosen(SEVERAL, arguments.only):
        found, spent = measured(run, problem, arguments.seeds, arguments.evaluations)
        shares = [box.hypervolume(minimized(values, goals)) / box.hypervolume(every) for values in found]
        print(f"| {name} | {statistics.mean(shares):.4f} ({statistics.stdev(shares):.4f}) | {spent:.2f} |", flush=True)
    print(f"\none look into the table takes {lookup_ms(problem):.4f} ms of these")


if __name__ == "__main__":
    main()
