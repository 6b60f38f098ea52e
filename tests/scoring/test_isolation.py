"""Each scorer sees a genome as if it were alone, in any space."""

from __future__ import annotations

import os
import random
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from uninas_evo.contracts import Objective, Scorer, Subject
from uninas_evo.engine import PoolOptions, open_pool
from uninas_evo.errors import ObjectiveError
from uninas_evo.pool.contract import Job
from uninas_evo.problems.search import SearchProblem
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.scoring.function import UserFunction
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset

SMALL = Skeleton(image_size=16, classes=4, stem=(8, 8), channels=(32,), depths=(1,))
SPACE = UninasSpace(preset("coatnet", SMALL))


def vandal(network: nn.Module) -> float:
    """Changes all that a scorer can reach."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    network.eval()
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(torch.get_num_threads() + 1)
    os.chdir("/")
    sys.path.insert(0, "/")
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    return 1.0


def norm(network: nn.Module) -> float:
    return float(sum(p.double().abs().sum() for p in network.parameters()))


def mode(network: nn.Module) -> float:
    return float(network.training)


def grad(network: nn.Module) -> float:
    return float(torch.is_grad_enabled())


def bits(network: nn.Module) -> float:
    return float(torch.finfo(torch.get_default_dtype()).bits)


def draws(network: nn.Module) -> float:
    return random.random() + float(np.random.rand()) + float(torch.rand(()))


def threads(network: nn.Module) -> float:
    return float(torch.get_num_threads())


def folder(network: nn.Module) -> float:
    return float(os.getcwd() == "/" or sys.path[0] == "/")


SEES = [norm, mode, grad, bits, threads, folder]


@pytest.mark.parametrize("space", [SPACE, NASBench201Space()], ids=["UniNAS", "cell"])
def test_no_scorer_sees_what_another_did(space: Any) -> None:
    """Values beside a function that changes everything, and beside latency, are those of each function alone."""
    latency = {"latency_ms": {"repeats": 1}}
    together = SearchProblem(space, [vandal, "latency_ms", *SEES], proxies=latency).evaluate(space.start, "cpu")
    for function in SEES:
        alone = SearchProblem(space, [function]).evaluate(space.start, "cpu")
        assert together[function.__name__] == alone[function.__name__], function
    assert together["norm"] > 0


def test_random_draws_are_those_of_a_function_alone() -> None:
    """A function that draws from global generators gets the same numbers, whatever was drawn before it."""

    def drawn(*functions: Callable[[nn.Module], float]) -> float:
        random.seed(3)
        np.random.seed(3)
        torch.manual_seed(3)
        return float(SearchProblem(SPACE, functions).evaluate(SPACE.start, "cpu")["draws"])

    assert drawn(draws) == drawn(vandal, draws)


def test_a_problem_leaves_nothing_behind() -> None:
    """Scoring in process changes neither torch's settings, nor threads, nor the environment, nor warnings."""

    def state() -> tuple[Any, ...]:
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.allow_tf32,
            torch.get_num_threads(),
            os.environ.get("OMP_NUM_THREADS"),
            list(warnings.filters),
        )

    torch.set_num_threads(2)
    before = state()
    try:
        with open_pool(PoolOptions(devices="in-process", threads=1), UninasProblem(SPACE, [threads])) as pool:
            (done,) = pool.map([Job(0, SPACE.start.text)])
        assert done.values is not None
        assert done.values["threads"] == 1
        assert state() == before
    finally:
        torch.set_num_threads(1)


def test_helpers_of_one_name_in_two_folders(tmp_path: Path) -> None:
    """Each file gets the helper beside it, also when it imports it late; the search path is put back."""
    before = list(sys.path)
    for number in (1, 2):
        place = tmp_path / str(number)
        place.mkdir()
        (place / "helper.py").write_text(f"VALUE = {number}\n")
        (place / "late.py").write_text(f"VALUE = {10 * number}\n")
        (place / "mine.py").write_text(
            "import helper\nfrom uninas_evo import Genome\n"
            f"def score{number}(genome: Genome):\n    import late\n    return helper.VALUE + late.VALUE\n"
        )
    names = [f"{tmp_path / str(number) / 'mine.py'}:score{number}" for number in (1, 2)]
    problem = UninasProblem(SPACE, names)
    for _ in range(2):
        values = problem.evaluate(SPACE.start, "cpu")
        assert (values["score1"], values["score2"]) == (11, 22)
    assert sys.path == before
    assert "helper" not in sys.modules


def test_a_function_fills_only_what_it_declares() -> None:
    """Its values and their standard errors; anything else is a failure that names it."""

    def measures(genome: Genome) -> dict[str, float]:
        return {"depth": 1.0, "depth_se": 0.1, "params": 7.0}

    problem = SearchProblem(SPACE, [measures])
    with pytest.raises(ObjectiveError, match=r"may return only what it declares \(measures.*got 'depth'; declare it"):
        problem.evaluate(SPACE.start, "cpu")


class Depth(Scorer):
    """A scorer of one's own, given as an object."""

    objectives = (Objective("depth", "maximize"),)

    def score(self, subject: Subject, device: str) -> dict[str, float]:
        """Layers of the network."""
        return {"depth": float(len(list(subject.network().modules())))}


def test_scorers_are_objects_too() -> None:
    """A `Scorer` stands beside names and functions, in any space; costs come with every problem."""
    space = NASBench201Space()
    problem = SearchProblem(space, [Depth(), "flops", "naswot"], batch=4)
    values = problem.evaluate(space.start, "cpu")
    assert [one.name for one in problem.objectives] == ["depth", "flops", "naswot"]
    assert values.keys() == {"depth", "params", "flops", "naswot"}
    assert values["flops"] == space.cost(space.start).flops


def test_proxies_of_one_function_share_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three parts of AZ-NAS cost one forward and backward pass, also where an aggregate uses them."""
    from uninas_evo.proxies import registry
    from uninas_evo.proxies.registry import Proxy

    calls = []

    def parts(module: nn.Module, inputs: Any) -> Any:
        calls.append(inputs)
        return type("Parts", (), {"a": 1.0, "b": 2.0, "error": None})

    for name in ("a", "b"):
        monkeypatch.setitem(registry.PROXIES, f"az_{name}", Proxy(parts, part=name))
    values = SearchProblem(SPACE, ["az_a", "az_b"]).evaluate(SPACE.start, "cpu")
    assert (values["az_a"], values["az_b"], len(calls)) == (1, 2, 1)


def test_a_function_by_path_may_not_change_a_cost(tmp_path: Path) -> None:
    """Returning `params` does not overwrite the space's."""
    (tmp_path / "mine.py").write_text(
        "from uninas_evo import Genome\ndef own(genome: Genome): return {'own': 1.0, 'own_se': 0.5}\n"
    )
    assert UserFunction(f"{tmp_path}/mine.py:own").name == "own"
    values = SearchProblem(SPACE, [f"{tmp_path}/mine.py:own"]).evaluate(SPACE.start, "cpu")
    assert values["own_se"] == 0.5
    assert values["params"] == SPACE.start.params


def test_the_first_error_of_latency_is_its_settings() -> None:
    """No pass at all is no latency."""
    from uninas_evo.scoring.latency import latency_ms

    with pytest.raises(ObjectiveError, match="batch and repeats of at least 1, got batch=0, repeats=20"):
        latency_ms(nn.Flatten(), (3, 4, 4), "cpu", batch=0)


def test_latency_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA and Apple's GPUs are waited for after each pass: else only the dispatch is timed."""
    from uninas_evo.scoring.latency import _synchronize

    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waited.append("cuda"))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    for kind in ("cpu", "cuda", "mps"):
        _synchronize(kind)()
    assert waited == ["cuda", "mps"]


def test_searches_in_two_threads_score_as_one_alone() -> None:
    """The global generators belong to one candidate at a time."""
    import random

    from engine_toy import ToyProblem

    from uninas_evo.pool.contract import Job
    from uninas_evo.pool.worker import Settings, Worker

    class Drawing(ToyProblem):
        def evaluate(self, genome: Any, device: str) -> dict[str, float]:
            values = []
            for _ in range(5):
                time.sleep(0.001)  # another thread has its turn
                values.append(random.random())
            return {"sum": sum(values)}

    texts = [f"{number:08b}" for number in range(12)]

    def scores() -> list[Any]:
        worker = Worker(Drawing(), Settings("cpu"))
        return [worker.score(Job(number, text)).values for number, text in enumerate(texts)]

    alone = scores()
    with ThreadPoolExecutor(2) as threads:
        assert [one.result() for one in [threads.submit(scores) for _ in range(2)]] == [alone, alone]
