"""The adapters to pymoo and Optuna: constraints, fronts, samplers, restarts and the exported study."""

from __future__ import annotations

import subprocess
import sys

import optuna
import pytest
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
from strategy_toy import COST, GAIN, BitSpace, drive, good, make, score, spaces, strategy_class, texts

from uninas_evo.contracts import Budget, Objective, Result
from uninas_evo.errors import MissingExtraError, RunFileError
from uninas_evo.strategies.bayesian import Bayesian, export_study

TIGHT = Budget(min_params=6, max_params=9)
PARETO = ("nsga2", "nsga3", "agemoea", "smsemoa")


def tight_space() -> BitSpace:
    space = spaces()["nasbench201"].with_budget(Budget(min_params=3e5, max_params=5e5))
    return space


@pytest.mark.parametrize("name", [*PARETO, "bayesian"])
@pytest.mark.parametrize("budget", ["bounds", "constraints"])
def test_nothing_outside_the_budget_is_asked(name, budget):
    """As bounds or as constraints, the budget holds for every candidate, and parents are known ones."""
    space = tight_space()
    candidates = list(drive(make(name, space, budget=budget), 60))
    assert len(candidates) >= 60
    for candidate in candidates:
        assert space.budget.admits(space.cost(candidate.genome))
        assert all(0 <= parent < candidate.number for parent in candidate.parents)


def test_constraints_let_the_library_see_what_lies_outside():
    """With constraints pymoo's and Optuna's own populations hold genomes outside the budget, marked infeasible."""
    space = tight_space()
    strategy = make("bayesian", space, budget="constraints")
    list(drive(strategy, 30))
    outside = [trial for trial in strategy.study.trials if trial.constraints and max(trial.constraints.values()) > 0]
    assert outside
    assert all(trial.state == optuna.trial.TrialState.PRUNED for trial in outside)
    pareto = make("nsga2", space, budget="constraints")
    assert 0 < len(pareto.ask()) < 8


@pytest.mark.parametrize(
    ("budget", "over"),
    [
        (Budget(), 0.0),
        (Budget(max_params=100), 0.0),
        (Budget(max_params=80), 0.25),
        (Budget(min_params=150), 0.5),
        (Budget(max_flops=50), 3.0),
        (Budget(min_flops=400), 1.0),
        (Budget(max_params=0), 99.0),
    ],
)
def test_excess(budget, over):
    """The excess is the share by which the worst bound is broken, 0 inside."""
    from uninas_evo.contracts import Cost

    assert budget.excess(Cost(100, 200)) == pytest.approx(over)


@pytest.mark.parametrize("name", PARETO)
def test_survivors_are_the_front(name):
    """After a search the first front of pymoo's survivors lies on the front of all that was scored."""
    space = spaces()["nasbench201"]
    strategy = make(name, space)
    points = [strategy.fitness(good(space)(candidate)) for candidate in drive(strategy, 80)]
    assert strategy.ask() is not None
    import numpy as np

    front = NonDominatedSorting().do(-np.array(points), only_non_dominated_front=True)
    survivors = [tuple(-individual.F) for individual in strategy.algorithm.opt]
    on_front = {points[index] for index in front}
    assert sum(point in on_front for point in survivors) >= len(survivors) / 2


def test_a_missing_numba_names_the_install_command(monkeypatch):
    """AGE-MOEA without numba says how to install it."""
    monkeypatch.setattr("uninas_evo.strategies.pareto.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'install it with: pip install "uninas-evo\[agemoea\]"'):
        make("agemoea", spaces()["bits"])


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2", "random"])
def test_every_sampler_replays(sampler):
    """Each of Optuna's samplers gives the same asks again, and none twice."""
    space = BitSpace(8)
    runs = [texts(space, drive(make("bayesian", space, sampler=sampler, startup=5), 15), 15) for _ in range(2)]
    assert runs[0] == runs[1]
    assert len({text for _, text, *_ in runs[0]}) == 15


def test_several_objectives():
    """With two objectives the study has two directions, and restarts draw from a front."""
    strategy = Bayesian(spaces()["uninas"], (GAIN, COST), seed=0, startup=5)
    candidates = list(drive(strategy, 30))
    assert [direction.name for direction in strategy.study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert len({parent for candidate in candidates for parent in candidate.parents}) > 1


def test_restarts_begin_at_the_incumbent():
    """In a space with a start each candidate comes from the best one told when it was asked; at 0 from the start."""
    space = spaces()["uninas"]
    strategy = Bayesian(space, (GAIN,), seed=0, startup=5, lag=1)
    gains: list[float] = []
    for candidate in drive(strategy, 25):
        if candidate.parents:
            assert candidate.parents == (gains.index(max(gains)),)
        gains.append(score(space, candidate.genome)["gain"])
    assert not any(candidate.parents for candidate in drive(Bayesian(space, (GAIN,), seed=0, restart=0), 15))


def test_failed_and_repeated_candidates_in_the_study():
    """A failure is a pruned trial, a value a complete one; no genome is complete twice."""
    space = BitSpace(8)

    def answer(candidate):
        return Result(candidate, failure="it broke") if candidate.number < 3 else good(space)(candidate)

    strategy = make("bayesian", space)
    list(drive(strategy, 40, answer))
    trials = [trial for trial in strategy.study.trials if trial.state.is_finished()]
    by_number = {trial.user_attrs["candidate"]: trial for trial in trials if "candidate" in trial.user_attrs}
    assert [by_number[number].state.name for number in range(4)] == ["PRUNED"] * 3 + ["COMPLETE"]
    complete = [tuple(trial.params.values()) for trial in trials if trial.state.name == "COMPLETE"]
    assert len(complete) == len(set(complete))


@pytest.mark.parametrize(
    ("space", "repeats"), [(BitSpace(6), "neighbors"), (spaces()["uninas"], "model")], ids=["bits", "uninas"]
)
def test_what_follows_a_proposal_that_was_asked_before(space, repeats):
    """Neighbors in a list of decisions, where no model is fitted twice; the model where compose begins at a genome."""
    other = {"neighbors": "model", "model": "neighbors"}[repeats]
    asked = [
        texts(space, drive(make("bayesian", space, startup=5, **options), 60), 60)
        for options in ({}, {"repeats": repeats}, {"repeats": other})
    ]
    assert asked[0] == asked[1] != asked[2]


def test_exported_study_is_the_same(tmp_path):
    """The exported study holds the same finished trials, and opens again from its storage."""
    strategy = make("bayesian", BitSpace(8))
    list(drive(strategy, 12))
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    export_study(strategy.study, storage, "search")
    loaded = optuna.load_study(study_name="search", storage=storage)
    finished = [trial for trial in strategy.study.trials if trial.state.is_finished()]
    assert [trial.params for trial in loaded.trials] == [trial.params for trial in finished]
    assert loaded.best_value == strategy.study.best_value


def test_optuna_stays_as_talkative_as_it_was():
    """Making a study leaves Optuna's verbosity alone."""
    before = optuna.logging.get_verbosity()
    make("bayesian", BitSpace(8), sampler="gp")
    assert optuna.logging.get_verbosity() == before


def test_three_objectives_for_nsga3():
    """NSGA-III takes no more reference directions than its population holds."""
    objectives = (GAIN, COST, Objective("third", "maximize"))
    strategy = strategy_class("nsga3")(spaces()["bits"], objectives, seed=0, population=12)

    def answer(candidate):
        return Result(candidate, good(strategy.space)(candidate).values | {"third": float(candidate.genome[0])})

    assert len(list(drive(strategy, 40, answer))) >= 40
    assert len(strategy.algorithm.ref_dirs) == 10


def test_bayesian_restarts_after_every_so_many_results() -> None:
    """With `restart = 3` composing moves to the best genome after results 3, 6, ..., not after 1, 4, ..."""
    strategy = make("bayesian", spaces()["uninas"], restart=3, lag=1, startup=1)
    origins = [candidate.parents for candidate in drive(strategy, 8)]
    assert origins[:3] == [(), (), ()]
    assert origins[3]
    assert origins[3] == origins[4] == origins[5]
    assert all(origins[6:])


def test_options_are_fields_or_one_object():
    """A strategy takes the fields of its options, or an object of their class, in which mypy finds a misspelled one."""
    from uninas_evo.strategies.aging import AgingEvolution
    from uninas_evo.strategies.evolution import Evolution, EvolutionOptions

    space, goal = spaces()["nasbench201"], [COST]
    whole = EvolutionOptions(population=4, offspring=2)
    assert Evolution(space, goal, seed=0, options=whole).options == whole
    assert Evolution(space, goal, seed=0, population=4, offspring=2).options == whole
    with pytest.raises(RunFileError, match=r"one EvolutionOptions, or its fields, not both: .* and population"):
        Evolution(space, goal, seed=0, options=whole, population=4)
    with pytest.raises(RunFileError, match=r"AgingEvolution are one AgingOptions.* got EvolutionOptions"):
        AgingEvolution(space, goal, seed=0, options=whole)


@pytest.mark.slow
def test_a_type_checker_finds_a_misspelled_option(tmp_path):
    """In the options of a strategy, of the pool and of a search: mypy names the word that was meant."""
    file = tmp_path / "mine.py"
    file.write_text(
        "import uninas_evo\n"
        "from uninas_evo.pool.open import PoolOptions\n"
        "from uninas_evo.strategies.evolution import EvolutionOptions\n"
        "EvolutionOptions(populaton=4)\n"
        "PoolOptions(thread=1)\n"
        "uninas_evo.search({}, 'random', evaluation=3)\n"
    )
    command = [sys.executable, "-m", "mypy", "--no-incremental", "--config-file=", str(file)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False).stdout
    for option in ("populaton", "thread", "evaluation"):
        assert f'Unexpected keyword argument "{option}"' in told
