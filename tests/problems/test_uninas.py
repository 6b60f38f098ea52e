"""The UniNAS problem: every kind of objective, alone and together."""

from __future__ import annotations

import math
import pickle
import sys
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from uninas_evo.contracts import Budget, Objective
from uninas_evo.errors import ObjectiveError
from uninas_evo.pool.contract import Job
from uninas_evo.pool.worker import Settings, Worker
from uninas_evo.problems.uninas import UninasOptions, UninasProblem
from uninas_evo.scoring.aggregate import log_normal_share
from uninas_evo.scoring.function import UserFunction, form_of, named
from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.network import Network

SMALL = Skeleton(image_size=32, classes=10, stem=(8, 16), channels=(32, 64), depths=(1, 1))
SPACE = UninasSpace(preset("coatnet", SMALL), Budget(max_params=150_000))
QUICK = {"vkdnw": {"inits": 1, "entries": 1}}


def values(*objectives: Any, seed: int = 0, **options: Any) -> dict[str, float]:
    problem = UninasProblem(SPACE, objectives, seed=seed, batch=32, **options)
    score = Worker(problem, Settings("cpu")).score(Job(0, SPACE.start.text))
    assert score.failure is None, score.failure
    assert score.values is not None
    return score.values


def test_costs_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Params and flops come from formulas; nothing is built."""
    monkeypatch.setattr(UninasSpace, "build", None)
    found = UninasProblem(SPACE, ["params", "flops"]).evaluate(SPACE.start, "cpu")
    assert found == {"params": SPACE.start.params, "flops": SPACE.start.flops}


def test_goals_are_known() -> None:
    """A proxy and a cost know which way is better; a function is maximized unless told otherwise."""
    problem = UninasProblem(
        SPACE, ["vkdnw", "te_ntk", "params", "latency_ms", len, {"name": "zen", "goal": "minimize"}]
    )
    assert problem.objectives == (
        Objective("vkdnw", "maximize"),
        Objective("te_ntk", "minimize"),
        Objective("params", "minimize", is_cost=True),
        Objective("latency_ms", "minimize", repeats=False, unit="ms"),
        Objective("len", "maximize"),
        Objective("zen", "minimize"),
    )


def test_scores_depend_on_genome_and_seed_alone() -> None:
    """The same values in any order, after a pickle, and with another global state; others with another seed."""
    first = values("vkdnw", "naswot", proxies=QUICK)
    torch.manual_seed(5)
    assert values("naswot", "vkdnw", proxies=QUICK) == first
    problem = pickle.loads(pickle.dumps(UninasProblem(SPACE, ["vkdnw", "naswot"], batch=32, proxies=QUICK)))  # noqa: S301
    assert problem.evaluate(SPACE.decode(SPACE.start.text), "cpu") == first
    other = values("vkdnw", "naswot", seed=1, proxies=QUICK)
    assert other["vkdnw"] != first["vkdnw"]
    again = problem.with_seed(1).evaluate(SPACE.start, "cpu")
    assert {name: again[name] for name in other} == other


def test_settings_reach_the_proxy() -> None:
    """More initializations give a standard error; one gives none."""
    assert "vkdnw_se" not in values("vkdnw", proxies=QUICK)
    assert values("vkdnw", proxies={"vkdnw": {"inits": 2, "entries": 1}})["vkdnw_se"] > 0


def test_latency_is_measured() -> None:
    """A positive number of milliseconds."""
    assert 0 < values("latency_ms", proxies={"latency_ms": {"repeats": 2}})["latency_ms"] < 10_000


def test_functions_take_what_they_are_annotated_with(tmp_path: Path) -> None:
    """The network, the genome, or genome and device; from callables and files; one number or several."""
    (tmp_path / "mine.py").write_text(
        "from uninas_evo import Genome\n"
        "import helper\n"
        "def network(net): return helper.count(net)\n"
        "def genome(genome: Genome): return len(genome)\n"
        "def both(genome, device, scale=2): return {'nodes': scale * len(genome), 'cpu': float(device == 'cpu')}\n"
    )
    (tmp_path / "helper.py").write_text("def count(net): return sum(p.numel() for p in net.parameters())\n")
    path = tmp_path / "mine.py"
    declared = {"name": f"{path}:both", "values": {"nodes": "minimize", "cpu": "maximize"}}
    found = values(f"{path}:network", f"{path}:genome", declared)
    assert found["network"] == SPACE.start.params
    assert found["genome"] == len(SPACE.start)
    assert (found["nodes"], found["cpu"]) == (2 * len(SPACE.start), 1.0)

    def trains(net: nn.Module) -> float:
        assert isinstance(net, Network)
        return float(net.training)

    assert values(trains)["trains"] == 1.0


def test_forms() -> None:
    """Annotations may be strings; arguments with a default do not count."""

    def text(genome: Genome) -> float:
        return 0.0

    text.__annotations__["genome"] = "space.Genome"
    assert form_of(text) == "genome"
    assert form_of(lambda net: 0.0) == "network"
    assert form_of(lambda genome, device: 0.0) == "genome and device"
    assert form_of(lambda net, extra=1: 0.0) == "network"
    with pytest.raises(ObjectiveError, match=r"takes \(network\), \(genome: Genome\) or .* takes 3 arguments"):
        form_of(lambda a, b, c: 0.0)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("vkdwn", "there is no objective 'vkdwn'.*did you mean 'vkdnw'?"),
        ({"name": "vkdnw", "values": {"a": "maximize"}}, "`values` are for functions that return several; vkdnw"),
    ],
)
def test_objectives_that_do_not_exist(objective: Any, message: str) -> None:
    """The name, the right ones, and the nearest."""
    with pytest.raises(ObjectiveError, match=message):
        UninasProblem(SPACE, [objective])


def test_objectives_and_settings_are_checked_with_the_run_file() -> None:
    """They are told as mistakes of the run file, beside its others."""
    with pytest.raises(ValueError, match="there is no objective 'vkdwn'"):
        UninasOptions(objectives=["vkdwn"])
    with pytest.raises(ValueError, match=r"problem\.proxies\.vkdnw has no setting 'init' .* it has mode, "):
        UninasOptions(proxies={"vkdnw": {"init": 2}})


def test_names_must_differ() -> None:
    """Two objectives of one name cannot be told apart."""
    with pytest.raises(ObjectiveError, match="every objective must have a name of its own, got params, params"):
        UninasProblem(SPACE, ["params", "params"])


def test_functions_that_cannot_be_loaded_are_named(tmp_path: Path) -> None:
    """The reference, the reason and the right form are in the message; a worker says it when it starts."""
    (tmp_path / "broken.py").write_text("raise ValueError('half done')")
    for reference, reason in (
        (f"{tmp_path}/broken.py:score", "ValueError: half done"),
        (f"{tmp_path}/none.py:score", "there is no file"),
        ("no.such.module:score", "ModuleNotFoundError"),
        ("math:pi", "must be a function, and 'pi' is 3.14"),
    ):
        with pytest.raises(ObjectiveError, match=reason):
            Worker(UninasProblem(SPACE, [reference]), Settings("cpu"))


def test_several_values_must_be_named() -> None:
    """A function that declares values and returns a number is a failure that says so."""
    problem = UninasProblem(SPACE, [{"name": "builtins:len", "values": {"a": "maximize"}}])
    with pytest.raises(ObjectiveError, match="must return a mapping with the values a, since they are declared"):
        named(1.0, "len", ["a"], several=True)
    assert problem.objectives == (Objective("a", "maximize"),)


def test_nothing_is_executed_to_find_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a function is known, for its hash, before any of its package's code runs."""
    package = tmp_path / "hostile"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('executed')")
    (package / "inner.py").write_text("raise SystemExit('executed')")
    monkeypatch.syspath_prepend(str(tmp_path))
    problem = UninasProblem(SPACE, ["hostile.inner:score", f"{tmp_path}/gone.py:score2"])
    assert problem.sources == (package / "__init__.py", package / "inner.py", tmp_path / "gone.py")
    assert "hostile" not in sys.modules
    assert UserFunction("no.such.module:score").file is None


def test_functions_of_sources_keep_their_file() -> None:
    """A callable has no file of its own to hash."""
    assert UninasProblem(SPACE, [len]).sources == ()


def test_an_aggregate_is_an_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is better where all its proxies are, keeps its scale under other seeds, and comes with its parts."""
    monkeypatch.setattr("uninas_evo.scoring.aggregate.REFERENCES", 6)
    problem = UninasProblem(SPACE, [], batch=16, aggregate=["naswot", "te_ntk", "params"])
    assert problem.objectives == (Objective("aggregate", "maximize"),)
    problem.make_ready(None, "cpu", print)
    worker = Worker(problem, Settings("cpu"))
    score = worker.score(Job(0, SPACE.start.text))
    assert score.values is not None, score.failure
    assert {"aggregate", "naswot", "te_ntk", "params"} <= score.values.keys()
    better = score.values | {"naswot": score.values["naswot"] + 1, "te_ntk": score.values["te_ntk"] - 1}
    scale = problem.scorers[-1].scale
    assert scale.value(better) > score.values["aggregate"] == scale.value(score.values)
    assert problem.with_seed(3).scorers[-1].scale is scale
    other = Worker(pickle.loads(pickle.dumps(problem)), Settings("cpu"))  # noqa: S301
    assert other.score(Job(0, SPACE.start.text)).values == score.values


def test_an_aggregate_in_a_run_file() -> None:
    """It replaces the default objective, stands beside those given, and knows the published ones."""
    alone = UninasProblem.from_options(UninasOptions(aggregate=["vkdnw", "naswot"]), 0)
    assert [one.name for one in alone.objectives] == ["aggregate"]
    beside = UninasProblem.from_options(UninasOptions(aggregate=["vkdnw_agg"], objectives=["params"]), 0)
    assert [one.name for one in beside.objectives] == ["params", "aggregate"]
    assert "jacov" in beside.scorers[-1].goals
    for name in ("naswott", "latency_ms", "train"):
        with pytest.raises(ObjectiveError, match=f"an aggregate ranks by proxies, and '{name}' is none"):
            UninasProblem(SPACE, [], aggregate=["vkdnw", name])
    with pytest.raises(ObjectiveError, match="a problem needs an objective"):
        UninasProblem(SPACE, [])


@given(st.floats(-30, 30), st.floats(0.01, 5))
def test_the_smoothed_share_grows_everywhere(z: float, step: float) -> None:
    """Also far beyond the best reference, where a rank would stand still."""
    assert log_normal_share(z) < log_normal_share(z + step) <= 0
    assert math.isclose(math.exp(log_normal_share(z)), NormalDist().cdf(z), rel_tol=1e-6, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"latency_ms": {"repeats": 0}},
            r"problem.proxies.latency_ms.repeats: should be greater than or equal to 1, got 0",
        ),
        ({"vkdnw": {"inits": "x"}}, r"problem.proxies.vkdnw.inits: should be a valid integer.*, got 'x'"),
        ({"vkdnw": {"mode": "quick"}}, r"problem.proxies.vkdnw.mode: should be 'exact', 'probed'.*, got 'quick'"),
        ({"zen": {"step": []}}, r"problem.proxies.zen.step: should be a valid number, got \[\]"),
    ],
)
def test_settings_of_the_wrong_kind(settings: dict[str, dict[str, object]], message: str) -> None:
    """They are told with the run file, not by a worker that stumbles."""
    with pytest.raises(ObjectiveError, match=message):
        UninasProblem(SPACE, proxies=settings)


def test_a_run_file_fills_its_start_and_varies_its_skeleton() -> None:
    """The start is widened to the budget; without an upper bound filling is refused."""
    table = {
        "start": "resnet",
        "skeleton": {"image_size": 16, "classes": 3, "stem": [8, 8], "channels": [8, 16], "depths": [1, 1]},
        "fill": True,
        "vary": ["depth"],
    }
    problem = UninasProblem.from_options(UninasOptions(**table, budget={"max_params": 50_000}), 0)
    assert problem.space.start.skeleton.channels[1] > 16
    assert "skeleton" in problem.space.variations()
    with pytest.raises(ValueError, match="fill widens to the budget, which has no upper bound"):
        UninasOptions(**table)
