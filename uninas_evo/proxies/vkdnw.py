"""VKDNW: the entropy of the Fisher information's spectrum (Tybl & Neumann, CVPR 2025), with its noise."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from uninas_evo.errors import ProxyError
from uninas_evo.proxies._module import (
    Inputs,
    check_logits,
    count_layers,
    finite,
    initialize,
    keyed_generator,
    prepare,
)
from uninas_evo.proxies._module import calibrate as set_statistics
from uninas_evo.proxies.scorable import Scorable
from uninas_evo.proxies.spectrum import (
    covariance,
    covariance_factor,
    eigenvalues,
    entropy,
    random_cotangents,
    smoothed_softmax,
)
from uninas_evo.proxies.taps import Entries, TappedForward, choose_entries

Mode = Literal["exact", "probed", "definition"]


@dataclass(frozen=True, slots=True)
class VkdnwResult:
    """A VKDNW score and how sure it is.

    Attributes:
        score: what to maximize: `mean`, or `layers + mean` where the whole network is one group.
        mean: the entropy, averaged over blocks, entries and initializations; between 0 and log 9.
        error: standard error of `mean` over initializations; None with one initialization.
        entropies: the entropy of each initialization.
        layers: convolutions and linear layers with trainable weights.
        spectrum: on request, for each group the ascending eigenvalues (inits, E, P) of F / trace F.
    """

    score: float
    mean: float
    error: float | None
    entropies: tuple[float, ...]
    layers: int
    spectrum: tuple[Tensor, ...] | None = None


def vkdnw(
    module: nn.Module,
    inputs: Inputs | None = None,
    *,
    mode: Mode | None = None,
    per_block: bool = True,
    entries: int = 8,
    inits: int = 4,
    probes: int = 4,
    calibrate: bool = False,
    spectrum: bool = False,
) -> VkdnwResult:
    """Entropy of the deciles of the eigenvalues of F = mean over samples of JᵀCJ.

    J (K × P) holds the derivatives of the logits by one entry of each of P parameter tensors, C = diag(p) − ppᵀ for
    the softmax p smoothed by 0.05. Eval mode, standard normal images, at initialization.

    Source: Tybl & Neumann, "Training-free Neural Architecture Search through Variance of Knowledge of Deep Network
    Weights", CVPR 2025; by block as in their "Universal Neural Architecture Space", arXiv 2510.06035, eq. 3.
    Deviations: the entropy is averaged over `entries` choices of the P entries and `inits` initializations, since one
    of each is mostly noise; `probed` estimates F. With `mode="exact", entries=1, inits=1` it is the published score.

    Args:
        module: a classifier (N, C, H, W) -> (N, K). Parameters without `requires_grad` are left out.
        inputs: batch, image shape, seed and device; `reinitialize=False` scores the weights as they are.
        mode: "exact": K − 1 backward passes; "probed": `probes` of them, an unbiased estimate of F;
            "definition": jacrev and vmap, slow, for modules with layers that have no tap. None: "probed" by block,
            "exact" for whole networks, whose many parameters would need as many probes.
        per_block: score each block of a `Scorable` network by itself; of other modules the whole network is one group.
        entries: E, choices of one entry for each tensor, evenly spaced; all share the same backward passes.
        inits: initializations; each has its own images.
        probes: M, random cotangents for each sample with `mode="probed"`.
        calibrate: set batch norms' statistics to those of the images first. Less noise, but not the published score.
        spectrum: keep the eigenvalues.

    Raises:
        ProxyError: nothing to score, a layer without a tap, a head of fewer than two classes, NaN in the logits, or
            fewer probed rows N·M than 2P, which would bias large groups.
    """
    inputs = inputs or Inputs()
    if entries < 1 or inits < 1 or probes < 1:
        raise ProxyError(
            f"entries, inits and probes must be at least 1, got entries={entries}, inits={inits}, probes={probes}"
        )
    spectra: list[list[Tensor]] = []
    net = prepare(module, replace(inputs, reinitialize=False, calibrated_norms=False))
    for init in range(inits if inputs.reinitialize else 1):
        drawn = replace(inputs, seed=init_seed(inputs.seed, init))
        if inputs.reinitialize:
            initialize(net, drawn.seed)
        images = drawn.images().to(next(net.parameters()).dtype)
        if calibrate or inputs.calibrated_norms:
            set_statistics(net, images)
        groups, blocks = _groups(net, entries, per_block)
        chosen_mode = mode or ("probed" if blocks else "exact")
        fishers = _fishers(net, images, groups, chosen_mode, probes, drawn.generator("probes"))
        spectra.append([eigenvalues(fisher) for fisher in fishers])
    entropies = tuple(
        finite(statistics.fmean(float(entropy(group).mean()) for group in groups), "vkdnw") for groups in spectra
    )
    mean = statistics.fmean(entropies)
    error = statistics.stdev(entropies) / len(entropies) ** 0.5 if len(entropies) > 1 else None
    layers = count_layers(module)
    kept = tuple(torch.stack(group) for group in zip(*spectra, strict=True)) if spectrum else None
    return VkdnwResult(mean if blocks else layers + mean, mean, error, entropies, layers, kept)


def vkdnw_single(module: nn.Module, inputs: Inputs | None = None) -> VkdnwResult:
    """VKDNW as published: layers + entropy of the whole network, exact, one entry of each tensor, one initialization.

    Source: VKDNW_single of Tybl & Neumann, CVPR 2025. Deviation: layers count convolutions and linear layers, where
    their code counts parameter tensors; on NAS-Bench-201 both rank alike.
    """
    return vkdnw(module, inputs, mode="exact", per_block=False, entries=1, inits=1)


def init_seed(seed: int, init: int) -> int:
    """The seed of a numbered initialization: the same for all candidates, unrelated for other seeds."""
    return keyed_generator("init", seed, init).initial_seed()


def _groups(net: nn.Module, entries: int, per_block: bool) -> tuple[list[list[Entries]], bool]:
    """The parameters that share a Fisher matrix, and whether the groups are blocks."""
    scorable = [module for module in net.modules() if isinstance(module, Scorable)] if per_block else []
    blocks = [block for module in scorable for block in module.blocks]
    chosen = choose_entries(net, entries)
    if not blocks:
        return [chosen], False
    members = [{id(parameter) for parameter in block.parameters()} for block in blocks]
    groups = [[e for e in chosen if id(e.parameter) in ids] for ids in members]
    return [group for group in groups if group], True


def _fishers(
    net: nn.Module,
    images: Tensor,
    groups: Sequence[Sequence[Entries]],
    mode: Mode,
    probes: int,
    generator: torch.Generator,
) -> list[Tensor]:
    """For each group its Fisher matrices (E, P, P), one for each choice of entries."""
    largest = max(len(group) for group in groups)
    if mode == "probed" and len(images) * probes < 2 * largest:
        raise ProxyError(
            f"N·M random rows must be at least 2P, got N={len(images)} images, M={probes} probes and P={largest} "
            f"parameters in a group: raise probes to {-(-2 * largest // len(images))} for all candidates, since the "
            'score depends on it, or use mode="exact"'
        )
    chosen = [entry for group in groups for entry in group]
    bounds = torch.tensor([0] + [len(group) for group in groups]).cumsum(0).tolist()
    sums = [images.new_zeros((), dtype=torch.float64) for _ in groups]
    rows = {"exact": _exact, "probed": _probed, "definition": _definition}[mode]
    scale = len(images) * (probes if mode == "probed" else 1)
    for row in rows(net, images, chosen, probes, generator):
        for g, (start, stop) in enumerate(itertools.pairwise(bounds)):
            part = row[:, start:stop].permute(2, 1, 0).double()  # (E, P, N)
            sums[g] = sums[g] + part @ part.mT / scale
    return sums


def _exact(
    net: nn.Module, images: Tensor, chosen: Sequence[Entries], probes: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """K − 1 rows (N, P, E) whose squares sum to JᵀCJ."""
    forward = TappedForward(net, images, chosen)
    factor = covariance_factor(smoothed_softmax(check_logits(forward.logits, len(images)).detach()))
    for column in factor.unbind(2):
        yield forward.rows(column)


def _probed(
    net: nn.Module, images: Tensor, chosen: Sequence[Entries], probes: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """M random rows (N, P, E) whose squares have mean JᵀCJ."""
    forward = TappedForward(net, images, chosen)
    p = smoothed_softmax(check_logits(forward.logits, len(images)).detach())
    for cotangent in random_cotangents(p, probes, generator):
        yield forward.rows(cotangent)


def _definition(
    net: nn.Module, images: Tensor, chosen: Sequence[Entries], probes: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """K rows (N, P, E) of √C J, the Jacobian J by the definition: the oracle that the taps are tested against."""
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    values = {e.name: e.parameter.detach().flatten()[e.index] for e in chosen}

    def logits(values: dict[str, Tensor], image: Tensor) -> Tensor:
        changed = {
            e.name: parameters[e.name].flatten().index_put((e.index,), values[e.name]).view_as(e.parameter)
            for e in chosen
        }
        output: Tensor = functional_call(net, parameters | changed, (image.unsqueeze(0),))
        return output.squeeze(0)

    with torch.no_grad():
        c = covariance(smoothed_softmax(check_logits(net(images), len(images))))
    by_name = vmap(jacrev(logits), in_dims=(None, 0))(values, images)
    jacobian = torch.stack([by_name[e.name] for e in chosen], 2)  # (N, K, P, E)
    spread, basis = torch.linalg.eigh(c)
    half = (basis * spread.clamp_min(0).sqrt().unsqueeze(1)).mT
    yield from torch.einsum("nrk,nkpe->rnpe", half, jacobian)
