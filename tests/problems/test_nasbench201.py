"""NAS-Bench-201: the cells, their costs and networks, and the table that gives exact regret."""

from __future__ import annotations

import gzip
import itertools
import pickle
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uninas_evo.contracts import Budget
from uninas_evo.errors import BudgetError, DataError, GenomeError
from uninas_evo.problems.nasbench201 import RESNET, Cell, NASBench201Problem, NASBench201Space
from uninas_evo.spaces.nasbench201.space import EDGES, OPERATIONS

TABLE = Path(__file__).parents[3] / "shared/data/nasbench201_test_accuracy.csv.gz"
needs_table = pytest.mark.skipif(not TABLE.is_file(), reason="the table of NAS-Bench-201 is not beside the repository")
HEADER = "architecture,cifar10_test_accuracy_percent"
cells = st.tuples(*[st.sampled_from(OPERATIONS)] * 6).map(Cell)


@given(cells)
def test_text_round_trip(cell):
    """decode(encode(cell)) is the cell, and the text is made of the published pieces."""
    space = NASBench201Space()
    assert space.decode(space.encode(cell)) == cell
    assert space.encode(cell).count("~") == 6


def test_text_is_the_published_one():
    """The text of a cell is the benchmark's, edge by edge."""
    cell = Cell(("avg_pool_3x3", "nor_conv_1x1", "skip_connect", "none", "nor_conv_3x3", "skip_connect"))
    assert cell.text == ("|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|nor_conv_3x3~1|skip_connect~2|")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("|conv~0|", "the operation 'conv' in the cell '|conv~0|' is unknown; use one of none, skip_connect"),
        ("", "a cell's text has six edges and reads like '|nor_conv_3x3~0|+"),
        ("|none~0|", "a cell's text has six edges and reads like"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~9|", "a cell's text has six edges and reads like"),
        ("|none~0|none~0|none~1|+|none~0|none~1|none~2|", "a cell's text has six edges and reads like"),
    ],
)
def test_wrong_text_names_the_rule(text, message):
    """A text that is no cell's raises GenomeError with the rule, the value and the fix."""
    with pytest.raises(GenomeError) as caught:
        NASBench201Space().decode(text)
    assert message in str(caught.value)


def test_costs_are_the_published_ones():
    """The smallest and largest networks have the published parameters; FLOPs are twice the MACs."""
    small, large = Cell(("none",) * 6), Cell(("nor_conv_3x3",) * 6)
    cifar10, cifar100 = NASBench201Space(10), NASBench201Space(100)
    assert (cifar10.cost(small).params, cifar10.cost(large).params) == (73_306, 1_531_546)
    assert (cifar100.cost(small).params, cifar100.cost(large).params) == (79_156, 1_537_396)
    assert cifar10.cost(large).flops == pytest.approx(2 * 220.11969e6, rel=0.02)
    assert cifar10.cost(small).flops == pytest.approx(2 * 7.78305e6, rel=0.02)


@settings(max_examples=8, deadline=None)
@given(cells, st.sampled_from([10, 100]))
def test_cost_equals_the_built_network(cell, classes):
    """cost.params equals the parameters of the built network, which gives (N, K) logits."""
    space = NASBench201Space(classes)
    network = space.build(cell)
    assert sum(p.numel() for p in network.parameters()) == space.cost(cell).params
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, classes)
    assert [tuple(x.shape[1:]) for x in network.forward_features(torch.zeros(1, 3, 32, 32))] == [
        (16, 32, 32), (32, 16, 16), (64, 8, 8),
    ]  # fmt: skip


def test_flops_are_those_of_the_hooks():
    """Multiplications and additions counted by hooks on the built network equal the formula."""
    space, total = NASBench201Space(), 0
    cell = Cell(("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect", "none", "nor_conv_3x3"))

    def count(module, _, output):
        nonlocal total
        if isinstance(module, torch.nn.Conv2d):
            total += 2 * module.weight.numel() * output[0, 0].numel()
        elif isinstance(module, torch.nn.BatchNorm2d):
            total += 2 * output.numel()
        elif isinstance(module, torch.nn.AvgPool2d):
            size = module.kernel_size
            total += size**2 * output.numel()
        elif isinstance(module, torch.nn.Linear):
            total += 2 * module.weight.numel() + module.bias.numel()

    network = space.build(cell).eval()
    for module in network.modules():
        module.register_forward_hook(count)
    network(torch.zeros(1, 3, 32, 32))
    assert space.cost(cell).flops == total + 64 * 8 * 8  # the global pooling is no module


def test_a_cell_computes_its_graph():
    """A cell of identities doubles along the graph: 1 + 1 + 2 times the input at the end."""
    network = NASBench201Space().build(Cell(("skip_connect",) * 6))
    x = torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(network.stages[0][0](x), 4 * x)
    nothing = NASBench201Space().build(Cell(("none",) * 6))
    assert not nothing.stages[0][0](x).any()


@given(cells, cells, st.integers(0, 2**32))
def test_operators(a, b, seed):
    """Mutation changes one edge, crossover takes edges from parents; arguments and global state stay."""
    space, before, state = NASBench201Space(), (a.edges, b.edges), random.getstate()
    mutant, child = space.mutate(a, random.Random(seed)), space.crossover(a, b, random.Random(seed))
    assert sum(x != y for x, y in zip(a.edges, mutant.edges, strict=True)) == 1
    assert all(c in pair for c, *pair in zip(child.edges, a.edges, b.edges, strict=True))
    assert (a.edges, b.edges) == before
    assert random.getstate() == state
    assert mutant == space.mutate(a, random.Random(seed))


@settings(max_examples=20, deadline=None)
@given(cells, st.integers(0, 2**32))
def test_budget_is_never_left(cell, seed):
    """Composed, mutated and crossed cells lie inside the budget; what was asked is kept where it fits."""
    budget = Budget(min_params=2e5, max_params=8e5, max_flops=2e8)
    space, rng = NASBench201Space().with_budget(budget), random.Random(seed)
    composed = space.compose(lambda decision: cell.edges[int(decision.name[-1])])
    assert budget.admits(space.cost(space.start))
    assert budget.admits(space.cost(composed))
    assert composed == cell or not budget.admits(space.cost(cell))
    for made in (space.mutate(composed, rng), space.crossover(composed, space.start, rng), space.sample(rng)):
        assert made is None or budget.admits(space.cost(made))


def test_impossible_budgets_say_so():
    """A budget without any cell, or one that excludes the start, is a BudgetError that names the fix."""
    with pytest.raises(BudgetError, match=r"no genome of NASBench201Space is inside .*; widen the budget"):
        NASBench201Space(budget=Budget(max_params=1000))
    with pytest.raises(BudgetError, match="the start must be inside"):
        NASBench201Space(start=RESNET, budget=Budget(max_params=2e5))


def test_all_cells():
    """The space holds 5^6 cells, each once."""
    assert len(set(NASBench201Space().cells)) == len(OPERATIONS) ** len(EDGES) == 15_625


@needs_table
@pytest.mark.parametrize(("dataset", "optimum"), [("cifar10", 94.3733), ("cifar100", 73.5133)])
def test_problem_reads_the_table(dataset, optimum):
    """The optimum is the published one, values cover every objective, and the problem travels to a worker."""
    problem = NASBench201Problem(TABLE, dataset, ("accuracy", "params", "flops"))
    assert problem.optimum == optimum
    assert [o.goal for o in problem.objectives] == ["maximize", "minimize", "minimize"]
    values = pickle.loads(pickle.dumps(problem)).evaluate(RESNET, "cpu")  # noqa: S301
    assert values == problem.evaluate(RESNET, "cpu")
    assert values["params"] == problem.space.cost(RESNET).params
    assert max(problem.evaluate(c, "cpu")["accuracy"] for c in problem.space.cells) == optimum


@needs_table
def test_optimum_inside_a_budget():
    """Under a budget the optimum is that of the cells inside it."""
    budget = Budget(max_params=3e5)
    problem = NASBench201Problem(TABLE, budget=budget)
    inside = [c for c in NASBench201Space().cells if budget.admits(NASBench201Space().cost(c))]
    assert problem.optimum == max(problem.evaluate(c, "cpu")["accuracy"] for c in inside) < 94.3733


@needs_table
def test_from_options():
    """A run file's table becomes the problem; unknown fields are refused."""
    options = NASBench201Problem.Options(
        table=TABLE, dataset="cifar100", objectives=["accuracy", "flops"], budget={"max_params": 5e5}
    )
    problem = NASBench201Problem.from_options(options, seed=3)
    assert problem.space.budget == Budget(max_params=5e5)
    assert problem.space.classes == 100
    assert [o.name for o in problem.objectives] == ["accuracy", "flops"]
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        NASBench201Problem.Options(table=TABLE, color="red")


@needs_table
def test_the_table_beside_scores_of_any_kind():
    """Accuracy from the table stands beside proxies, latency and functions of one's own."""

    def edges(genome) -> float:
        return float(len(genome.edges))

    edges.__annotations__["genome"] = "Genome"
    problem = NASBench201Problem(
        TABLE, objectives=["accuracy", "naswot", "latency_ms", edges], batch=4, proxies={"latency_ms": {"repeats": 1}}
    )
    values = problem.evaluate(RESNET, "cpu")
    assert values.keys() == {"accuracy", "naswot", "latency_ms", "edges", "params", "flops"}
    assert problem.objectives[0].unit == "%"
    options = NASBench201Problem.Options(table=TABLE, objectives=["accuracy", "naswot"])
    assert [one.name for one in NASBench201Problem.from_options(options, 0).objectives] == ["accuracy", "naswot"]
    with pytest.raises(ValueError, match=r"there is no objective 'accuracyy'.*did you mean 'accuracy'"):
        NASBench201Problem.Options(table=TABLE, objectives=["accuracyy"])


def test_missing_or_wrong_tables_name_the_cure(tmp_path):
    """A table that is absent, torn, of another kind or incomplete is a DataError with the fix."""
    with pytest.raises(DataError, match=r"is not at .*; give the path of a CSV with the columns architecture"):
        NASBench201Problem(tmp_path / "absent.csv")
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"is not that of NAS-Bench-201: it lacks the column architecture"):
        NASBench201Problem(other)
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(gzip.compress(b"architecture,cifar10_test_accuracy_percent\n" * 99)[:-9])
    with pytest.raises(DataError, match=r"torn\.csv\.gz' cannot be read: Compressed file ended"):
        NASBench201Problem(torn)
    texts = [Cell(edges).text for edges in itertools.product(OPERATIONS, repeat=6)]
    full = tmp_path / "full.csv"
    header = "architecture,cifar10_test_accuracy_percent"
    full.write_text("\n".join([header, *(f"{text},50" for text in texts)]))
    assert NASBench201Problem(full).optimum == 50
    short = tmp_path / "short.csv"
    short.write_text("\n".join([header, *(f"{text},50" for text in texts[1:])]))
    with pytest.raises(DataError, match=r"must give every cell an accuracy, got none for \|none~0\|"):
        NASBench201Problem(short)


def whole_table(
    path: Path, header: str = "architecture,cifar10_test_accuracy_percent", more: Sequence[str] = ()
) -> Path:
    """A right table in which every cell reaches 50 percent, with lines appended or put in the place of the first."""
    texts = [Cell(edges).text for edges in itertools.product(OPERATIONS, repeat=6)]
    columns = header.count(",")
    path.write_text("\n".join([header, *(text + ",50" * columns for text in texts), *more]), encoding="utf-8-sig")
    return path


def test_a_byte_order_mark_is_read_over(tmp_path):
    """Tables that were saved with a byte-order mark are read."""
    assert NASBench201Problem(whole_table(tmp_path / "t.csv")).optimum == 50


@pytest.mark.parametrize(
    ("header", "more", "message"),
    [
        ("architecture,cifar10_test_accuracy_percent,cifar10_test_accuracy_percent", [], "column .* twice"),
        (None, [f"{Cell(('none',) * 6).text},99.9"], "in the lines 2 and 15627; remove one"),
        (None, ["|conv~0|,50"], r"line 15627 of .* names '\|conv~0\|', which is no cell"),
        (None, ["|conv~0|"], "line 15627 .* has 1 cells for 2 columns"),
    ],
)
def test_doubled_and_foreign_rows_are_told_by_line(tmp_path, header, more, message):
    """A column or cell that stands twice, and a row that names no cell, are refused with their lines."""
    path = whole_table(tmp_path / "t.csv", header or HEADER, more)
    with pytest.raises(DataError, match=message):
        NASBench201Problem(path)


@pytest.mark.parametrize(
    ("dataset", "value"),
    [
        ("cifar10", "0.943733"),
        ("cifar100", "0.73"),
        ("cifar10", "nan"),
        ("cifar10", "inf"),
        ("cifar10", "101"),
        ("cifar10", "94,3"),
    ],
)
def test_accuracies_are_in_percent(tmp_path, dataset, value):
    """One value that is a fraction, no number or above 100 is told with its line: no network is worse than guessing."""
    path = whole_table(tmp_path / "t.csv", f"architecture,{dataset}_test_accuracy_percent")
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    lines[7] = f'{lines[7].split(",")[0]},"{value}"'
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"must give every cell an accuracy in percent, .* in line 8 for"):
        NASBench201Problem(path, dataset)
