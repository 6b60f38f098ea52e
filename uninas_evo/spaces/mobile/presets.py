"""The published networks of the mobile spaces.

Sources: ProxylessNAS (arXiv 1812.00332, figure 4), UNAS (1912.07651, appendix), Once-for-All (1908.09791).
"""

from __future__ import annotations

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.mobile.ofa import OFAGenome, of_settings
from uninas_evo.spaces.mobile.proxyless import ProxylessGenome, ProxylessSkeleton

PROXYLESS = {
    "proxyless_gpu": "k5e3 zero zero zero k7e3 zero zero k3e3 k7e6 zero zero k5e3 k5e6 zero k3e3 k5e3 k7e6 k7e6 k7e6 "
    "k5e6 k7e6",
    "unas_mobile": "k5e3 k3e3 zero zero k7e3 zero zero zero k7e3 k3e3 k3e3 k3e3 k5e3 k3e3 k3e3 k3e3 k7e6 k7e3 k7e3 "
    "k7e3 k7e6",
}
"""The layers of each network of ProxylessNAS' space."""

OFA = {
    "ofa_largest": ("7" * 20, "6" * 20, "4" * 5),
    "ofa_smallest": ("3" * 20, "3" * 20, "2" * 5),
}
"""Kernels, expansions and depths of each network of Once-for-All's space."""


def proxyless_preset(name: str, skeleton: ProxylessSkeleton | None = None) -> ProxylessGenome:
    """A published network of ProxylessNAS' space, by default at 224 px with the widths of ProxylessNAS-GPU.

    Raises:
        GenomeError: there is no preset of this name.
    """
    if name not in PROXYLESS:
        raise GenomeError(f"unknown preset {name!r}; use one of {', '.join(PROXYLESS)}")
    return ProxylessGenome(tuple(PROXYLESS[name].split()), skeleton or ProxylessSkeleton())


def ofa_preset(name: str, resolution: int = 224, classes: int = 1000, width: float = 1.0) -> OFAGenome:
    """The largest or smallest network of Once-for-All's space.

    Raises:
        GenomeError: there is no preset of this name.
    """
    if name not in OFA:
        raise GenomeError(f"unknown preset {name!r}; use one of {', '.join(OFA)}")
    return of_settings(*OFA[name], resolution, classes, width)
