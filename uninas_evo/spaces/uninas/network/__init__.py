"""Networks: a genome as an ordinary `torch.nn.Module`.

- `build`: the network of a genome; `initialize`: its weights drawn anew from a seed
- `Network`, `Block`: stem, stages of blocks, head; maps of all stages by `forward_features`
- `ChannelNorm`, `RelPosBias`: the layers that torch lacks
"""

from uninas_evo.spaces.uninas.network.build import Block, Network, build, initialize
from uninas_evo.spaces.uninas.network.layers import ChannelNorm, RelPosBias

__all__ = ["Block", "ChannelNorm", "Network", "RelPosBias", "build", "initialize"]
