"""VKDNW: the taps equal the definition, the noise is known, and what cannot be scored raises."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
import torch
from scipy.stats import kendalltau
from torch import nn

from uninas_evo.contracts import Budget
from uninas_evo.errors import ProxyError
from uninas_evo.proxies import Inputs, vkdnw, vkdnw_single
from uninas_evo.proxies.vkdnw import init_seed
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.uninas import ADDABLE, PRESETS, Genome, Skeleton, UninasSpace, preset, walk_nodes
from uninas_evo.spaces.uninas.network import build

TINY = Skeleton(image_size=16, classes=4, stem=(16, 16), channels=(32, 96), depths=(1, 1))


def walks(skeleton: Skeleton, steps: int, seed: int = 0) -> Iterator[Genome]:
    """Genomes on mutation walks from all presets in turn, three steps apart."""
    rng = random.Random(seed)
    spaces = [UninasSpace(start=preset(name, skeleton)) for name in PRESETS]
    genomes = [space.start for space in spaces]
    for _ in range(steps):
        for index, space in enumerate(spaces):
            for _ in range(3):
                genomes[index] = space.mutate(genomes[index], rng) or genomes[index]
            yield genomes[index]


def assert_exact_is_definition(net: nn.Module, inputs: Inputs, entries: int = 2) -> None:
    net = net.double()
    exact = vkdnw(net, inputs, mode="exact", entries=entries, inits=1)
    definition = vkdnw(net, inputs, mode="definition", entries=entries, inits=1)
    assert exact.mean == pytest.approx(definition.mean, abs=1e-5)


def test_exact_is_the_definition_on_cells() -> None:
    """On NAS-Bench-201 cells the tapped score equals that of jacrev and vmap to 1e-5."""
    space, rng = NASBench201Space(), random.Random(0)
    for _ in range(3):
        assert_exact_is_definition(space.build(space.sample(rng)), Inputs(batch=6, image=(3, 16, 16)))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {}),
        ("vit_tiny_patch16_224", {"img_size": 16, "patch_size": 4, "depth": 2, "init_values": None}),
    ],
)
def test_exact_is_the_definition_on_timm(name: str, options: dict[str, object]) -> None:
    """So it does on timm's ResNet and ViT, class token and position embedding included."""
    timm = pytest.importorskip("timm")
    net = timm.create_model(name, num_classes=5, **options)
    assert_exact_is_definition(net, Inputs(batch=4, image=(3, 16, 16)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_exact_is_the_definition_on_uninas_networks() -> None:
    """So it does on 50 random UniNAS networks, which hold every operation of the space."""
    genomes = list(walks(TINY, 13, seed=3))[:50]
    met = {node.operation.name for genome in genomes for chain in genome.chains for node, _ in walk_nodes(chain)}
    assert set(ADDABLE) <= met
    for seed, genome in enumerate(genomes):
        assert_exact_is_definition(build(genome), Inputs(batch=3, image=(3, 16, 16), seed=seed))


def test_single_precision_is_near_the_definition() -> None:
    """In float32, as searches score, the two ways agree as well as rounding allows."""
    net = build(preset("coatnet", TINY))
    inputs = Inputs(batch=4, image=(3, 16, 16))
    exact, definition = (vkdnw(net, inputs, mode=m, inits=1).mean for m in ("exact", "definition"))
    assert exact == pytest.approx(definition, abs=1e-4)


@pytest.mark.slow
def test_probed_ranks_as_exact() -> None:
    """With M = 4 probes, N = 64 and K = 10, Kendall's τ with the exact score is at least 0.9 over 200 networks."""
    skeleton = Skeleton(image_size=16, classes=10, stem=(16, 16), channels=(32, 64), depths=(1, 1))
    exact, probed = [], []
    for genome in list(walks(skeleton, 50))[:200]:
        net = build(genome)
        inputs = Inputs(image=(3, 16, 16))
        exact.append(vkdnw(net, inputs, mode="exact", inits=1).mean)
        probed.append(vkdnw(net, inputs, mode="probed", inits=1).mean)
    assert kendalltau(exact, probed).statistic >= 0.9


@pytest.mark.slow
def test_default_settings_are_reliable() -> None:
    """On a walk within ±10 % of a CoAtNet, networks make up at least 0.8 of the variance of default scores."""
    start = preset("coatnet", TINY)
    budget = Budget(0.9 * start.params, 1.1 * start.params, 0.9 * start.flops, 1.1 * start.flops)
    space, rng, genomes = UninasSpace(start=start, budget=budget), random.Random(0), [start]
    while len(set(genomes)) < 20:
        genomes.append(space.mutate(genomes[-1], rng) or start)
    nets = [build(genome) for genome in dict.fromkeys(genomes)]
    inputs = [Inputs(image=(3, 16, 16), seed=seed) for seed in range(3)]
    values = torch.tensor([[vkdnw(net, each).mean for each in inputs] for net in nets])
    noise = float(values.var(1).mean())
    signal = float(values.mean(1).var()) - noise / 3
    assert signal / (signal + noise) >= 0.8


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 4)
    )


INPUTS = Inputs(batch=32, image=(3, 4, 4))


def test_result_knows_its_noise() -> None:
    """The error is the standard error of the mean over initializations, and None for one of them."""
    result = vkdnw(small(), INPUTS, inits=4)
    mean = sum(result.entropies) / 4
    deviation = math.sqrt(sum((x - mean) ** 2 for x in result.entropies) / 3)
    assert result.mean == pytest.approx(mean)
    assert result.error == pytest.approx(deviation / 2)
    assert vkdnw(small(), INPUTS, inits=1).error is None


def test_initializations_of_a_seed_are_shared_by_all_candidates() -> None:
    """The first initializations do not depend on how many follow, and other seeds give other ones."""
    few, many = vkdnw(small(), INPUTS, inits=2), vkdnw(small(), INPUTS, inits=3)
    assert few.entropies == many.entropies[:2]
    assert len({init_seed(seed, init) for seed in range(20) for init in range(20)}) == 400


def test_initializations_differ() -> None:
    """Each has weights and images of its own, so that their mean knows more than one of them."""
    result = vkdnw(build(preset("resnet", TINY)), Inputs(image=(3, 16, 16)), inits=3)
    assert len(set(result.entropies)) == 3


def test_whole_network_adds_its_layers() -> None:
    """Of other modules than UniNAS networks the score is layers + entropy; `vkdnw_single` is that as published."""
    result = vkdnw_single(small(), INPUTS)
    assert (result.layers, result.score) == (2, 2 + result.mean)
    by_block = vkdnw(build(preset("resnet", TINY)), Inputs(image=(3, 16, 16)), inits=1)
    assert by_block.score == by_block.mean


def test_blocks_are_scored_by_themselves() -> None:
    """By block there is one spectrum for each block; stem and head are in none."""
    net = build(preset("resnet", TINY))
    result = vkdnw(net, Inputs(image=(3, 16, 16)), inits=2, entries=3, spectrum=True)
    assert result.spectrum is not None
    tensors = [sum(p.requires_grad for p in block.parameters()) for block in net.blocks]
    assert [tuple(group.shape) for group in result.spectrum] == [(2, 3, p) for p in tensors]
    for group in result.spectrum:
        assert torch.allclose(group.sum(-1), torch.ones(2, 3, dtype=torch.float64), atol=1e-6)


def test_dead_parameters_are_left_out() -> None:
    """What a zero cuts off asks for no gradient and is not probed, in both modes."""
    frozen = small()
    frozen[1].requires_grad_(False)
    for mode in ("exact", "definition"):
        spectrum = vkdnw(frozen, INPUTS, mode=mode, inits=1, spectrum=True).spectrum
        assert spectrum is not None
        assert spectrum[0].shape[-1] == 3  # convolution, and weight and bias of the head


def test_dropout_is_off_and_the_module_untouched() -> None:
    """A module in training mode scores as without dropout, and keeps its weights, buffers and modes."""
    plain, dropping = small(), small()
    dropping.insert(3, nn.Dropout(0.9))
    dropping.train()
    dropping.load_state_dict({k.replace("4.", "5."): v for k, v in plain.state_dict().items()})
    before = {name: value.clone() for name, value in dropping.state_dict().items()}
    inputs = Inputs(batch=32, image=(3, 4, 4), reinitialize=False)
    assert vkdnw(dropping, inputs).mean == vkdnw(plain, inputs).mean
    assert dropping.training
    assert all(torch.equal(before[name], value) for name, value in dropping.state_dict().items())


def test_calibration_changes_only_the_statistics() -> None:
    """Calibrated batch norms give another score; without batch norms the score is the same."""
    assert vkdnw(small(), INPUTS, calibrate=True).mean != vkdnw(small(), INPUTS).mean
    plain = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
    assert vkdnw(plain, INPUTS, calibrate=True).mean == vkdnw(plain, INPUTS).mean


class Constant(nn.Module):
    """Logits that do not depend on the trainable layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(48, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1)) * 0


def test_calibrated_inputs_calibrate() -> None:
    """What a run's `calibrated_norms` asks for is what `calibrate` does."""
    net, image = build(preset("resnet", TINY)), (3, 16, 16)
    asked = vkdnw(net, Inputs(image=image, calibrated_norms=True), inits=1)
    assert asked == vkdnw(net, Inputs(image=image), inits=1, calibrate=True)
    assert asked != vkdnw(net, Inputs(image=image), inits=1)


def test_a_constant_network_scores_zero() -> None:
    """No information: the entropy is 0, in every mode, never NaN."""
    for mode in ("exact", "probed", "definition"):
        assert vkdnw(Constant(), INPUTS, mode=mode).mean == 0


class Scaled(nn.Module):
    """A layer that nobody wrote a tap for, before a head."""

    def __init__(self, shape: tuple[int, ...], mixes: bool = False) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(shape))
        self.mixes = mixes
        self.head = nn.Linear(48, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.scale.mean(0, keepdim=True) if self.mixes else self.scale
        return self.head((x * scale).flatten(1))


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.other = nn.Linear(48, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1))


class FusedNorm(nn.BatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).relu()


def test_a_parameter_broadcast_over_the_batch_is_exact() -> None:
    """A bare parameter (1, ...) equals the definition; taking it for each sample needs that it does not mix them."""
    assert_exact_is_definition(Scaled((1, 3, 1, 1)), INPUTS)
    with pytest.raises(ProxyError, match="not broadcast over the batch"):
        vkdnw(Scaled((1, 3, 1, 1), mixes=True), INPUTS)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Scaled((3, 1, 1)), r"Scaled has no tap.*'scale' of shape \(3, 1, 1\).*register a tap"),
        (Unused(), r"'other.weight' was not called.*requires_grad_\(False\)"),
        (nn.Sequential(FusedNorm(3), nn.Flatten(), nn.Linear(48, 4)), "computes something else than its base"),
        (nn.Flatten(), "no trainable parameter"),
        (nn.Sequential(nn.Flatten(), nn.Linear(48, 1)), r"K of at least 2, got \(32, 1\)"),
        (nn.Conv2d(3, 4, 1), r"logits of shape \(N, K\)"),
    ],
)
def test_what_cannot_be_scored_raises(net: nn.Module, message: str) -> None:
    """A layer without a tap is never skipped, and every message names the rule and the fix."""
    with pytest.raises(ProxyError, match=message):
        vkdnw(net, INPUTS)


def test_what_has_no_tap_can_be_scored_by_the_definition() -> None:
    """The definition asks for no taps."""
    assert vkdnw(Scaled((3, 1, 1)), INPUTS, mode="definition").mean > 0


def test_nan_activations_raise() -> None:
    """NaN in the logits is an error, not a score."""
    net = small()
    nn.init.constant_(net[4].bias, float("nan"))
    with pytest.raises(ProxyError, match="NaN or infinity"):
        vkdnw(net, Inputs(batch=32, image=(3, 4, 4), reinitialize=False))


def test_too_few_rows_raise() -> None:
    """N·M below 2P would bias the score by the size of the group: the message tells how many probes to take."""
    net = build(preset("coatnet", TINY))
    with pytest.raises(ProxyError, match=r"at least 2P, got N=4 .* raise probes to"):
        vkdnw(net, Inputs(batch=4, image=(3, 16, 16)), mode="probed", probes=1)


def test_the_default_probes_blocks_and_is_exact_elsewhere() -> None:
    """By block M random probes are enough; a whole network of many parameters would need too many."""
    net, inputs = build(preset("coatnet", TINY)), Inputs(batch=32, image=(3, 16, 16))
    default, probed, exact = (vkdnw(net, inputs, mode=mode, inits=1).mean for mode in (None, "probed", "exact"))
    assert default == probed != exact
    whole = [vkdnw(net, inputs, mode=mode, inits=1, per_block=False, entries=1).mean for mode in (None, "exact")]
    assert whole[0] == whole[1]


def test_just_enough_rows_do() -> None:
    """2P random rows score a group of P parameters."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3, bias=False), nn.ReLU(), nn.Linear(3, 3))
    assert vkdnw(net, Inputs(batch=6, image=(3, 2, 2)), mode="probed", probes=1, inits=1).mean >= 0
    with pytest.raises(ProxyError, match="N·M random rows must be at least 2P"):
        vkdnw(net, Inputs(batch=5, image=(3, 2, 2)), mode="probed", probes=1, inits=1)


def test_counts_are_checked() -> None:
    """Entries, inits and probes are positive."""
    with pytest.raises(ProxyError, match="must be at least 1, got entries=0"):
        vkdnw(small(), INPUTS, entries=0)
