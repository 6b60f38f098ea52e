"""The problems of this project under the suite that users' problems pass."""

from __future__ import annotations

import pytest

from uninas_evo.problems.nasbench201 import NASBench201Problem
from uninas_evo.problems.search import SearchProblem
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.testing import BitsProblem, ProblemConformance

START = preset("coatnet", Skeleton(image_size=16, classes=10, stem=(8, 8), channels=(16, 32), depths=(1, 1)))


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
