"""Training-free scores of a built network.

`vkdnw` is the score that searches maximize. The others are what it is compared with; each is a plain function of a
module and its `Inputs`, and works on a private copy: weights, buffers, mode and `requires_grad` of the module are
never touched, and no global random generator is drawn from.

    from uninas_evo.proxies import Inputs, score, vkdnw
    vkdnw(net, Inputs(seed=1)).score
    score(net, ["vkdnw", "naswot", "az"])          # {"vkdnw": ..., "naswot": ..., "az_expressivity": ..., ...}

- `vkdnw`: `vkdnw`, `vkdnw_single`, `VkdnwResult`
- `gradients`: `grad_norm`, `snip`, `grasp`, `fisher`, `zico`, `synflow`, `jacov`
- `activations`: `zen`, `naswot`, `az`, `te_regions`, `te_ntk`
- `patterns`: `swap`, `near`
- `coupled`: `intrain`, `l_swag`
- `size`: `params`, `flops`
- `rank`: `rank_aggregate`, `size_correlation`
- `registry`: `PROXIES`, `AGGREGATES`, `Proxy`, `score`, `aggregate`
- `scorable`: `Scorable`, what a network may tell proxies about itself
- `taps`: `tap`, to teach VKDNW a layer of your own
"""

from uninas_evo.proxies._module import Inputs, Pictures
from uninas_evo.proxies.activations import AzScores, az, naswot, te_ntk, te_regions, zen
from uninas_evo.proxies.coupled import intrain, l_swag
from uninas_evo.proxies.gradients import fisher, grad_norm, grasp, jacov, snip, synflow, zico
from uninas_evo.proxies.patterns import near, swap
from uninas_evo.proxies.registry import AGGREGATES, PROXIES, Proxy, aggregate, score
from uninas_evo.proxies.scorable import Scorable
from uninas_evo.proxies.size import flops, params
from uninas_evo.proxies.taps import tap
from uninas_evo.proxies.vkdnw import VkdnwResult, vkdnw, vkdnw_single
from uninas_evo.stats.ranks import rank_aggregate, size_correlation

__all__ = [
    "AGGREGATES",
    "PROXIES",
    "AzScores",
    "Inputs",
    "Pictures",
    "Proxy",
    "Scorable",
    "VkdnwResult",
    "aggregate",
    "az",
    "fisher",
    "flops",
    "grad_norm",
    "grasp",
    "intrain",
    "jacov",
    "l_swag",
    "naswot",
    "near",
    "params",
    "rank_aggregate",
    "score",
    "size_correlation",
    "snip",
    "swap",
    "synflow",
    "tap",
    "te_ntk",
    "te_regions",
    "vkdnw",
    "vkdnw_single",
    "zen",
    "zico",
]
