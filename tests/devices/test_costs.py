"""Named costs from tables and of stored weights: bounds, objectives, and mistakes that are told before a score."""

from __future__ import annotations

import itertools
import math
import pickle
import random
from pathlib import Path

import pytest

from uninas_evo.config.runfile import parse_run
from uninas_evo.contracts import Budget, Cost, Result, numbered
from uninas_evo.devices import CostOptions, SizeCost, TableCost, costed
from uninas_evo.errors import BudgetError, DataError, RunFileError
from uninas_evo.problems.nasbench201 import RESNET, Cell, NASBench201Problem, NASBench201Space
from uninas_evo.spaces.darts.space import DartsSpace
from uninas_evo.spaces.mobile.space import OFASpace, ProxylessSpace
from uninas_evo.spaces.nasbench201.space import OPERATIONS
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninet import UninetSpace
from uninas_evo.strategies.aging import AgingEvolution
from uninas_evo.strategies.evolution import Evolution
from uninas_evo.testing.spaces import SpaceConformance

DATA = Path(__file__).parents[3] / "shared/data"
ACCURACY, HARDWARE = DATA / "nasbench201_test_accuracy.csv.gz", DATA / "nasbench201_hardware.csv.gz"
needs_tables = pytest.mark.skipif(
    not (ACCURACY.is_file() and HARDWARE.is_file()), reason="the table of NAS-Bench-201 is not beside the repository"
)
SMALL = Skeleton(image_size=16, classes=4, stem=(8, 8), channels=(16,), depths=(2,))
SPACES = {
    "nasbench201": NASBench201Space(),
    "darts": DartsSpace(),
    "proxyless": ProxylessSpace(),
    "ofa": OFASpace(),
    "uninet": UninetSpace(),
    "uninas": UninasSpace(preset("coatnet", SMALL)),
}


class Millions:
    """Parameters in millions, as a cost model from outside would give them; whole ones are not measured."""

    names = ("millions",)
    sources = ()

    def __call__(self, genome, cost):
        return {"millions": math.inf if cost.params % 7 == 0 else cost.params / 1e6}


def table(path: Path, amounts=lambda cell: 5.0, header="architecture,ms", more=()) -> Path:
    """A table of all cells."""
    cells = [Cell(edges) for edges in itertools.product(OPERATIONS, repeat=6)]
    path.write_text("\n".join([header, *(f"{cell.text},{amounts(cell)}" for cell in cells), *more]))
    return path


@pytest.mark.parametrize("name", SPACES)
def test_every_space_holds_bounds_on_further_costs(name):
    """In every space, what is composed, mutated and crossed has the further costs and lies within bounds on them."""
    free = SPACES[name].with_costs([Millions(), SizeCost(8)], Budget())
    rng = random.Random(0)
    sizes = sorted(free.cost(free.sample(rng))["millions"] for _ in range(9))
    start = [] if free.start is None else [free.cost(free.start)["millions"]]
    high = max([sizes[5], *start])
    space = free.with_budget(Budget(max_millions=high))
    genome = space.sample(rng)
    for _ in range(8):
        other = space.sample(rng)
        for made in (genome, other, space.mutate(genome, rng), space.crossover(genome, other, rng)):
            if made is not None:
                cost = space.cost(made)
                assert cost["millions"] <= high
                assert cost["size_mb"] == pytest.approx(cost.params / 1e6)
                assert cost.params % 7, "a network without a measurement is outside every budget"
                genome = made


def test_every_step_of_uninas_is_guarded():
    """Motifs, substitutions and starts lie within bounds on further costs too."""
    free = SPACES["uninas"].with_costs([SizeCost()], Budget())
    high = free.cost(free.start)["size_mb"] * 1.01
    space, rng = free.with_budget(Budget(max_size_mb=high)), random.Random(0)
    made = [vary(space.start, rng) for vary in space.variations().values() for _ in range(20)]
    made += [*space.starts(), *(space.attempt(space.start, rng) for _ in range(50))]
    sizes = [space.cost(genome)["size_mb"] for genome in made if genome is not None]
    assert len(sizes) > 20
    assert max(sizes) <= high


class TestConformance(SpaceConformance):
    """A space with further costs is a space."""

    space = NASBench201Space().with_costs([SizeCost()], Budget(max_size_mb=4))


def test_size_is_that_of_the_stored_weights():
    """4 bytes a weight, or 1 when quantized."""
    params = NASBench201Space().cost(RESNET).params
    sized = costed(NASBench201Space(), {"size_mb": CostOptions(bits=32)}, Budget())
    assert sized.cost(RESNET)["size_mb"] == 4 * params / 1e6
    assert SizeCost(8)(RESNET, Cost(params))["size_mb"] == params / 1e6


def test_not_measured_is_never_fast(tmp_path):
    """-1 and an empty cell are outside every budget, bounded or not, and never a value."""
    path = table(tmp_path / "t.csv", lambda cell: {"none": -1, "skip_connect": ""}.get(cell.edges[0], 3.0))
    free = costed(NASBench201Space(), {"ms": CostOptions(table=path)}, Budget())
    assert len(free.cells) == 3 * 5**5
    for budget in (Budget(max_ms=3), Budget(min_ms=1)):
        assert set(free.with_budget(budget).cells) == set(free.cells)
    lost = Cell(("none",) * 6)
    assert free.cost(lost)["ms"] == math.inf
    assert free.budget.excess(free.cost(lost)) == math.inf
    composed = free.compose(lambda decision: "none")
    assert free.admits(composed)


def test_a_bound_below_every_network_says_so(tmp_path):
    """No genome within a bound is one BudgetError before anything is scored."""
    path = table(tmp_path / "t.csv")
    with pytest.raises(BudgetError, match=r"no genome of NASBench201Space is inside max_ms = 4; widen"):
        costed(NASBench201Space(), {"ms": CostOptions(table=path)}, Budget(max_ms=4))
    with pytest.raises(BudgetError, match=r"start network must lie inside the budget; it has .* size_mb, the budget"):
        costed(SPACES["uninas"], {"size_mb": CostOptions(bits=32)}, Budget(max_size_mb=1e-6))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"header": "cell,ms"}, "has no column 'architecture': it has cell, ms"),
        ({"header": "architecture,millis"}, "has no column 'ms': it has architecture, millis"),
        ({"amounts": lambda cell: "fast"}, "a number from 0 on, or -1 where it was not measured, got 'fast' as ms in"),
        ({"amounts": lambda cell: -3}, "got '-3' as ms in line 2"),
        ({"amounts": lambda cell: "inf"}, "got 'inf' as ms in line 2"),
        ({"more": [f"{RESNET.text},4"]}, "line 15627 .* a second time; remove one"),
    ],
)
def test_wrong_tables_are_told(tmp_path, change, message):
    """A missing column, a wrong amount and a doubled row are refused by name and line."""
    path = table(tmp_path / "t.csv", **change)
    with pytest.raises(DataError, match=message):
        costed(NASBench201Space(), {"ms": CostOptions(table=path)}, Budget())


def test_a_missing_row_is_an_error_never_0(tmp_path):
    """A table that lacks a network of the space is refused when the space is made, and when the network is met."""
    path = table(tmp_path / "t.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match=r"must hold every network of the space, and has no row for '\|avg_pool"):
        costed(NASBench201Space(), {"ms": CostOptions(table=path)}, Budget())
    with pytest.raises(DataError, match=r"there is no table .*absent\.csv"):
        costed(NASBench201Space(), {"ms": CostOptions(table=tmp_path / "absent.csv")}, Budget())
    start = SPACES["uninas"].start
    own = tmp_path / "own.csv"
    own.write_text(f'architecture,ms\n"{start.text}",4\n')
    space = costed(SPACES["uninas"], {"ms": CostOptions(table=own)}, Budget(max_ms=5))
    assert space.cost(start)["ms"] == 4
    with pytest.raises(DataError, match="has no row for 'uninas 1"):
        space.mutate(start, random.Random(0))


def run_file(problem: dict, folder: Path = Path()):
    return parse_run({"evaluations": 1, "problem": {"name": "proxyless"} | problem}, "run.toml", folder)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ({"costs": {"ms": {}}}, "problem.costs.ms: a cost has a table or a profile, got nothing; give table = FILE"),
        ({"costs": {"ms": {"table": "t.csv", "bits": 8}}}, "a cost has a table or a profile, got table and bits"),
        ({"costs": {"ms": {"bits": 8}}}, "bits are for size_mb, and ms has some"),
        ({"costs": {"size_mb": {"column": "x"}}}, "a cost has a table or a profile, got nothing"),
        ({"costs": {"params": {"table": "t.csv"}}}, "a cost needs a name of its own"),
        ({"costs": {"macs": {"table": "t.csv"}}}, "a cost needs a name of its own"),
        ({"costs": {"a b": {"table": "t.csv"}}}, "a cost needs a name of its own"),
        (
            {"costs": {"ms": {"tabel": "t.csv"}}},
            "problem.costs.ms.tabel: there is no such field, got 't.csv'; did you mean 'table'",
        ),
        ({"budget": {"max_ms": 5}}, "max_ms bounds 'ms', which is not a cost here: there are params, flops, size_mb"),
    ],
)
def test_wrong_run_files_are_told(problem, message):
    """Mistakes in [problem.costs] and bounds on costs that nobody gives are told with their field."""
    with pytest.raises(RunFileError) as caught:
        run_file(problem)
    assert message in str(caught.value)


def test_size_needs_no_table_in_a_run_file():
    """A bound or an objective may name size_mb; the resolved run file says how it is counted and reads back alike."""
    run = run_file({"budget": {"max_size_mb": 40}, "objectives": ["params", "size_mb"]})
    problem = run.problem()
    assert problem.space.budget == Budget(max_size_mb=40)
    assert problem.objectives[1].unit == "MB"
    assert run.resolved()["problem"]["costs"] == {"size_mb": {"bits": 32}}
    assert parse_run(run.resolved(), "again", Path()).resolved() == run.resolved()
    small = run_file({"budget": {"max_size_mb": 40}, "costs": {"size_mb": {"bits": 8}}}).problem().space
    genome = small.sample(random.Random(0))
    assert small.cost(genome)["size_mb"] == small.cost(genome).params / 1e6


def test_a_table_stands_beside_its_run_file(tmp_path):
    """A table is looked for beside the run file; its path becomes absolute and its hash part of the run's identity."""
    table(tmp_path / "t.csv")
    accuracy = tmp_path / "a.csv"
    table(accuracy, lambda cell: 90, "architecture,cifar10_test_accuracy_percent")
    content = {
        "name": "nasbench201",
        "table": str(accuracy),
        "costs": {"board": {"table": "t.csv", "column": "ms"}},
        "objectives": ["accuracy", "board"],
        "budget": {"max_board": 6},
    }
    problem = run_file(content, tmp_path).problem()
    assert (tmp_path / "t.csv").absolute() in problem.sources
    assert problem.objectives[1].goal == "minimize"
    assert problem.objectives[1].is_cost
    assert problem.evaluate(RESNET, "cpu")["board"] == 5
    assert pickle.loads(pickle.dumps(problem)).space.cost(RESNET)["board"] == 5  # noqa: S301
    assert TableCost.of(NASBench201Space(), "ms", tmp_path / "t.csv").names == ("ms",)


KNOWN = {
    "edgegpu_latency_ms": {3: 92.505, 4: 93.88, 5: 94.045, 6: 94.2067},
    "edgegpu_energy_mj": {15: 92.505, 20: 94.0067, 25: 94.09},
    "raspi4_latency_ms": {10: 90.905, 20: 93.27, 40: 94.03},
    "pixel3_latency_ms": {4: 90.935, 8: 93.625, 16: 94.0633},
    "fpga_latency_ms": {2: 89.875, 4: 93.91},
}


def bounded(cost: str, bound: float) -> NASBench201Problem:
    budget, costs = Budget(**{f"max_{cost}": bound}), {cost: {"table": HARDWARE}}
    return NASBench201Problem(ACCURACY, budget=budget, costs=costs)


@needs_tables
def test_known_best_within_bounds():
    """The best CIFAR-10 accuracy within bounds on real devices is the one of the tables."""
    problem = NASBench201Problem(ACCURACY, costs={cost: {"table": HARDWARE} for cost in KNOWN})
    cells = [(problem.accuracy[cell.text], problem.space.cost(cell)) for cell in problem.space.cells]
    for cost, bounds in KNOWN.items():
        for bound, best in bounds.items():
            budget = Budget(**{f"max_{cost}": bound})
            assert max(accuracy for accuracy, known in cells if budget.admits(known)) == best
    assert bounded("edgegpu_latency_ms", 5).optimum == 94.045


@needs_tables
def test_unmeasured_networks_are_not_in_the_space():
    """The Edge TPU's 4,699 networks without a measurement are outside, also where nothing bounds the cost."""
    assert len(bounded("edgetpu_latency_ms", math.inf).space.cells) == 15_625 - 4_699


@needs_tables
@pytest.mark.parametrize("strategy", [Evolution, AgingEvolution])
def test_strategies_find_the_best_within_a_bound(strategy):
    """Within 5 ms on the Jetson, 100 evaluations come near the best cell, and none leaves the bound."""
    problem = bounded("edgegpu_latency_ms", 5)
    for seed in range(2):
        search, known, asked = strategy(problem.space, problem.objectives, seed=seed), {}, 0
        while len(known) < 100:
            for draft in search.ask():
                assert problem.space.cost(draft.genome)["edgegpu_latency_ms"] <= 5
                known[draft.genome] = problem.evaluate(draft.genome, "cpu")
                search.tell([Result(numbered(draft, asked), known[draft.genome])])
                asked += 1
        assert max(values["accuracy"] for values in known.values()) >= problem.optimum - 1
