"""Networks of the UniNet space: a genome as an ordinary `torch.nn.Module`.

- `build`: the network of a genome; `initialize`: its weights drawn anew from a seed
- `Network`, `Block`: stem, stages, head; maps of all stages by `forward_features`
- `LayerScale`, `SqueezeExcite`, `Attention`: the layers that torch lacks
"""

from uninas_evo.spaces.uninet.network.build import Network, build, initialize
from uninas_evo.spaces.uninet.network.layers import Attention, LayerScale, SqueezeExcite
from uninas_evo.spaces.uninet.network.operators import Block

__all__ = ["Attention", "Block", "LayerScale", "Network", "SqueezeExcite", "build", "initialize"]
