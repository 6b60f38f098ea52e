"""The spaces of this project under the suite that users' spaces pass."""

from __future__ import annotations

from uninas_evo.contracts import Budget
from uninas_evo.spaces.darts.genome import Skeleton as Stack
from uninas_evo.spaces.darts.space import DartsSpace
from uninas_evo.spaces.mobile.space import OFASpace, ProxylessSpace
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.vary import PARTS
from uninas_evo.spaces.uninet import Lattice, UninetSpace
from uninas_evo.spaces.uninet import preset as uninet
from uninas_evo.testing import Bits, SpaceConformance

START = preset("coatnet", Skeleton(image_size=16, classes=10, stem=(8, 8), channels=(16, 32), depths=(1, 1)))


class TestUninas(SpaceConformance):
    space = UninasSpace(START, Budget(max_params=2 * START.params, max_flops=2 * START.flops))


class TestUninasWithItsSkeleton(SpaceConformance):
    space = UninasSpace(START, Budget(max_params=2 * START.params, max_flops=2 * START.flops), vary=PARTS, fill=True)


class TestNASBench201(SpaceConformance):
    space = NASBench201Space(10, budget=Budget(min_params=2e5, max_params=8e5))


class TestBits(SpaceConformance):
    space = Bits(16, Budget(max_params=9))


class TestDarts(SpaceConformance):
    space = DartsSpace(Stack(channels=4, cells=3))


class TestDartsFactorized(SpaceConformance):
    space = DartsSpace(Stack(channels=4, cells=3), rule="factorized")


class TestProxyless(SpaceConformance):
    space = ProxylessSpace()


class TestOFA(SpaceConformance):
    space = OFASpace()


class TestUninet(SpaceConformance):
    space = UninetSpace(uninet("uninet-b0").resized(32, 10), lattice=Lattice((16,) * 5, (1,) * 5))
