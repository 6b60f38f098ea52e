"""The problems of this project under the suite that users' problems pass."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from uninas_evo.problems.cells import CellsProblem
from uninas_evo.problems.choices import ChoicesProblem
from uninas_evo.problems.darts import DartsProblem
from uninas_evo.problems.mobile import OFAProblem, ProxylessProblem
from uninas_evo.problems.nasbench201 import NASBench201Problem
from uninas_evo.problems.search import SearchProblem
from uninas_evo.problems.stages import StagesProblem
from uninas_evo.problems.training import TrainingProblem
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.problems.uninet import UninetProblem
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.testing import BitsProblem, ProblemConformance

START = preset("coatnet", Skeleton(image_size=16, classes=10, stem=(8, 8), channels=(16, 32), depths=(1, 1)))


def made(kind: type[Any], **fields: Any) -> Any:
    """A problem of a run file's `[problem]` table."""
    return kind.from_options(kind.Options.model_validate({"objectives": ["params"], **fields}), seed=0)


class TestUninas(ProblemConformance):
    samples = 2
    problem = UninasProblem(UninasSpace(START), ["vkdnw", "params"])


class TestAnotherSpace(ProblemConformance):
    samples = 2
    problem = SearchProblem(NASBench201Space(), ["naswot", "flops"], batch=8, aggregate=["layers", "params"])


class TestBits(ProblemConformance):
    problem = BitsProblem()


class TestNASBench201(ProblemConformance):
    @pytest.fixture(autouse=True)
    def table(self, nasbench201_table):
        self.problem = NASBench201Problem(nasbench201_table)


class TestDarts(ProblemConformance):
    samples = 2
    problem = made(DartsProblem, channels=4, cells=3, objectives=["naswot", "macs"], batch=4)


class TestProxyless(ProblemConformance):
    problem = made(ProxylessProblem, objectives=["macs", "params"])


class TestOFA(ProblemConformance):
    problem = made(OFAProblem, objectives=["macs", "params"])


class TestUninet(ProblemConformance):
    samples = 2
    lattice: ClassVar[dict[str, list[int]]] = {"channels": [16] * 5, "repeats": [1] * 5}
    problem = made(
        UninetProblem,
        start="uninet-b0",
        image_size=32,
        classes=10,
        lattice=lattice,
        objectives=["az_expressivity"],
        batch=4,
    )


class TestStages(ProblemConformance):
    problem = made(StagesProblem, objectives=["params", "flops"])


class TestChoices(ProblemConformance):
    problem = made(
        ChoicesProblem,
        space={
            "kind": ["plain", "bottleneck"],
            "width": {"low": 8, "high": 64, "log": True, "whole": True},
            "inner": {"low": 2, "high": 32, "whole": True},
            "bias": [False, True],
            "drop": {"low": 0.0, "high": 0.5},
        },
        when={"inner": {"kind": ["bottleneck"]}},
        build="own_network:build",
        objectives=["params", "flops"],
    )


class TestCells(ProblemConformance):
    problem = made(CellsProblem, objectives=["params", "flops"])


class TestTraining(ProblemConformance):
    problem = made(
        TrainingProblem,
        network=START.text,
        training={"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "batch_size": [16, 32]},
        objectives=["own_network:rate"],
    )
