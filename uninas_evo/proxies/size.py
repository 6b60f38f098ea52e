"""The size of a module as a proxy: parameters and FLOPs; the baselines that every proxy must beat."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from uninas_evo.errors import ProxyError
from uninas_evo.proxies._module import Inputs, count_layers, prepare


def params(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Parameters of the module, a count: a baseline that every proxy must beat."""
    return float(sum(parameter.numel() for parameter in module.parameters()))


def flops(module: nn.Module, inputs: Inputs | None = None) -> float:
    """FLOPs of one image: multiplications and additions of convolutions, matrix products and attention.

    Counted in a forward pass by torch's counter, which leaves norms, activations and pooling out: for bare modules.
    Where a genome is known (in a search, in `uninas-evo score`) the objective `flops` is its space's exact formula.
    Attention and recurrent layers run without their fused kernels, of which the counter knows no cost.

    Raises:
        ProxyError: an operation with weights is none that the counter knows.
    """
    inputs = inputs or Inputs()
    net = prepare(module, inputs)
    with torch.no_grad(), _unfused(), FlopCounterMode(display=False) as counter, _Uncounted(net):
        net(torch.zeros(1, *inputs.image, device=inputs.device))
    return float(counter.get_total_flops())


@contextmanager
def _unfused() -> Iterator[None]:
    """Attention, transformer and recurrent layers as the matrix products that they are."""
    homes: tuple[Any, Any] = (torch.backends.mkldnn, torch.backends.cudnn)
    fast, enabled = torch.backends.mha.get_fastpath_enabled(), [home.enabled for home in homes]
    torch.backends.mha.set_fastpath_enabled(False)
    for home in homes:
        home.enabled = False
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for home, before in zip(homes, enabled, strict=True):
            home.enabled = before


class _Uncounted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Raises at an operation on weights that would count as free: not counted, not element by element, no view."""

    def __init__(self, net: nn.Module) -> None:
        # The storage itself: on the device meta none has an address.
        self.weights = {p.untyped_storage()._cdata: name for name, p in net.named_parameters() if p.dim() > 1}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        packet = func.overloadpacket
        fused = "attention" in packet.__name__ or "rnn" in packet.__name__
        free = packet in flop_registry or func.is_view or torch.Tag.pointwise in func.tags or packet.__name__ in _FREE
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        used = [self.weights.get(tensor.untyped_storage()._cdata) for tensor in tensors]
        if packet not in flop_registry and (fused or (not free and any(used) and not all(used))):
            name = next((name for name in used if name), None)
            raise ProxyError(
                f"flops cannot count the operation {packet.__name__}{f' on {name!r}' if name else ''}: one with "
                "weights must have a cost; write it as matrix products, or give the cost by a function of your own"
            )
        return func(*args, **(kwargs or {}))


_FREE = {
    "embedding", "index", "index_select", "gather", "cat", "stack", "clone", "_to_copy", "copy_", "lift_fresh",
    "native_layer_norm", "native_group_norm", "native_batch_norm", "_native_batch_norm_legit_no_training", "where",
}  # fmt: skip
"""Operations that may hold a weight and move or normalize numbers alone."""


def layers(module: nn.Module, inputs: Inputs | None = None) -> float:
    """Convolutions and linear layers with trainable weights, a count."""
    return float(count_layers(module))
