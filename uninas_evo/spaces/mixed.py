"""A place of a supernet: all options of a slot, of which one runs, or a weighted sum of all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from uninas_evo.contracts import Chosen, Gated, Weights


class Mixed(nn.Module):
    """The options of a slot at one place.

    Args:
        options: modules that take and give the same shapes, by name, in the order of the slot's options.
    """

    def __init__(self, options: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.options = nn.ModuleDict(options)
        self.names = tuple(options)

    def forward(self, x: Tensor, choice: str | Weights) -> Tensor:
        """An option's output, or the sum of all outputs times their weights (options,) or (N, options).

        Options that do not run take no part in the graph, so that their gradients stay None; of fixed weights those of
        0 do not run.
        """
        match choice:
            case str():
                return torch.as_tensor(self.options[choice](x))
            case Chosen(option, weight):
                return torch.as_tensor(self.options[self.names[option]](x) * weight)
            case Gated():
                return self._gated(x, choice)
            case _:
                total = torch.zeros((), device=x.device, dtype=x.dtype)
                for index in self._running(choice):
                    total = total + choice[..., index].reshape(-1, 1, 1, 1) * self.options[self.names[index]](x)
                return total

    def _running(self, weights: Tensor) -> Iterable[int]:
        """All options where a gradient by the weights is asked for, else those with a weight."""
        if weights.requires_grad:
            return range(len(self.names))
        kept = [index for index, some in enumerate((weights != 0).reshape(-1, len(self.names)).any(0).tolist()) if some]
        return kept or range(len(self.names))

    def _gated(self, x: Tensor, choice: Gated) -> Tensor:
        """ProxylessNAS' path: dL/dg_j = <dL/d output, o_j(x)>, the others computed without a graph (section 3.2.1)."""
        active: Tensor = self.options[self.names[choice.option]](x)
        # A node of its own: an identity's output is its input, whose gradient has further parts.
        output = active + torch.zeros((), device=x.device, requires_grad=True)
        inputs, value = x.detach(), active.detach()

        def measure(gradient: Tensor) -> None:
            with torch.no_grad():
                for index in choice.among:
                    other = value if index == choice.option else self.options[self.names[index]](inputs)
                    choice.gradient[index] += (gradient * other).sum()

        if torch.is_grad_enabled():
            output.register_hook(measure)  # type: ignore[no-untyped-call]
        return output


def adopt(module: nn.Module, source: nn.Module, option: str = "") -> None:
    """Copies all weights and statistics of a module of the same layers, or of an option of a mixed place."""
    if isinstance(source, Mixed):
        source = source.options[option]
    module.load_state_dict(source.state_dict())
