"""The other proxies: values computed by hand, private copies, determinism, and errors instead of NaN."""

from __future__ import annotations

import contextlib
import copy
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from uninas_evo.errors import ProxyError
from uninas_evo.proxies import (
    PROXIES,
    Inputs,
    Pictures,
    Scorable,
    az,
    fisher,
    flops,
    grad_norm,
    grasp,
    jacov,
    naswot,
    params,
    score,
    snip,
    synflow,
    taps,
    te_ntk,
    te_regions,
    vkdnw,
    zen,
    zico,
)
from uninas_evo.proxies._module import prepare
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.spaces.uninas.network import build

INPUTS = Inputs(batch=6, image=(3, 4, 4), reinitialize=False)


def small(norm: bool = True) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5) if norm else nn.Identity(), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))


def loss_of(net: nn.Module, batch: int = 0) -> torch.Tensor:
    return F.cross_entropy(net(INPUTS.images(batch)), INPUTS.labels(4, batch))


def test_gradient_proxies_are_their_formulas() -> None:
    """grad_norm, snip and zico, from the gradients that a plain backward pass leaves."""
    net = small().train()
    loss_of(net).backward()
    gradients = {name: p.grad.double() for name, p in net.named_parameters()}
    weights = ("0.weight", "5.weight")
    assert grad_norm(small(), INPUTS) == pytest.approx(sum(float(gradients[w].norm()) for w in weights), rel=1e-5)
    by_hand = sum(float((net.get_parameter(w).detach() * gradients[w]).abs().sum()) for w in weights)
    assert snip(small(), INPUTS) == pytest.approx(by_hand, rel=1e-5)
    net.zero_grad()
    loss_of(net, 1).backward()
    total = 0.0
    for name in weights:
        a, b = gradients[name].numpy(), net.get_parameter(name).grad.double().numpy()
        ratio = np.mean(np.abs([a, b]), 0)[a != b] / np.std([a, b], 0)[a != b]
        total += math.log(ratio.sum())
    assert zico(small(), INPUTS) == pytest.approx(total, rel=1e-3)


def test_grasp_is_a_hessian_product() -> None:
    """−w·(H g), with H g from finite differences of the gradient along g."""
    net = small(norm=False).double()
    weights = [net[0].weight, net[5].weight]
    images, labels = INPUTS.images(0).double(), INPUTS.labels(4, 0)

    def gradient() -> list[torch.Tensor]:
        return list(torch.autograd.grad(F.cross_entropy(net(images), labels), weights))

    g, step = gradient(), 1e-4
    start = [w.detach().clone() for w in weights]
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            for w, s, d in zip(weights, start, g, strict=True):
                w.copy_(s + sign * step * d)
        ends.append(gradient())
    by_hand = -sum(float((s * (a - b) / (2 * step)).sum()) for s, a, b in zip(start, *ends, strict=True))
    assert grasp(small(norm=False), INPUTS) == pytest.approx(by_hand, rel=1e-3)


def test_fisher_is_its_formula() -> None:
    """½ mean over images of (Σ a · ∂L/∂a)² of each channel, once for each of its weights."""
    net = small(norm=False)
    features = net[0](INPUTS.images(0))
    logits = net[1:](features)
    loss = F.cross_entropy(logits, INPUTS.labels(4, 0))
    by_features, by_logits = torch.autograd.grad(loss, [features, logits])
    convolution = (features * by_features).sum((2, 3)).square().mean(0).sum() / 2 * 27
    head = (logits * by_logits).square().mean(0).sum() / 2 * 5
    assert fisher(small(norm=False), INPUTS) == pytest.approx(float((convolution + head).detach()), rel=1e-4)


def test_synflow_is_the_path_norm() -> None:
    """Norms bypassed, absolute weights, an image of ones: the sum over layers of all paths, on a log scale."""
    net = small()
    assert isinstance(net[5], nn.Linear)
    bare = nn.Sequential(net[0], net[3], net[4], net[5]).double()
    for parameter in bare.parameters():
        parameter.data.abs_()
    output = bare(torch.ones(1, 3, 4, 4, dtype=torch.float64)).sum()
    gradients = torch.autograd.grad(output, [net[0].weight, net[5].weight])
    total = sum(float((w * g).sum()) for w, g in zip([net[0].weight, net[5].weight], gradients, strict=True))
    assert synflow(small(), INPUTS) == pytest.approx(math.log(total))


def test_synflow_cannot_overflow() -> None:
    """A thousand layers that multiply their input by a thousand: the score grows by log 1000 a layer."""

    def deep(layers: int) -> nn.Module:
        body = nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU()) for _ in range(layers)))
        net = nn.Sequential(body, nn.Flatten(), nn.Linear(48, 2, bias=False))
        for parameter in net.parameters():
            nn.init.constant_(parameter, 1000 / 3)
        return net

    growth = synflow(deep(1000), INPUTS) - synflow(deep(999), INPUTS)
    assert growth == pytest.approx(math.log(1000) + math.log(1001 / 1000), abs=1e-6)


def test_naswot_counts_equal_signs() -> None:
    """It reads the signs before the activation."""
    net = small()
    code = (net[1](net[0](INPUTS.images())) > 0).flatten(1).double()
    kernel = code @ code.T + (1 - code) @ (1 - code).T
    assert naswot(small(), INPUTS) == pytest.approx(float(torch.linalg.slogdet(kernel)[1]), rel=1e-9)


def test_te_regions_counts_borders_between_two_images() -> None:
    """A network of one bias-free unit has one border, the plane at 0: it lies between an image and its negative."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 1, bias=False), nn.ReLU(), nn.Linear(1, 2))
    first, last = INPUTS.images()[0].flatten(), INPUTS.images()[-1].flatten()
    with torch.no_grad():
        net[1].weight[0] = first / first.norm() - last / last.norm()
    assert te_regions(net, INPUTS) == 2
    with torch.no_grad():
        net[1].weight[0] = first / first.norm() + last / last.norm()
    assert te_regions(net, INPUTS) == 1


def test_jacov_prefers_uncorrelated_gradients() -> None:
    """The formula on the correlation matrix of the input gradients."""
    net = small(norm=False)
    images = INPUTS.images().requires_grad_()
    (gradient,) = torch.autograd.grad(net(images).sum(), images)
    v = np.linalg.eigvalsh(np.corrcoef(gradient.flatten(1).double().numpy())).clip(0) + 1e-5
    assert jacov(small(norm=False), INPUTS) == pytest.approx(-np.sum(np.log(v) + 1 / v), rel=1e-3)


def test_ntk_of_a_linear_network() -> None:
    """For one linear layer with K outputs the kernel is K times the Gram matrix of the images."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
    rows = INPUTS.images().flatten(1).double()
    assert te_ntk(net, INPUTS) == pytest.approx(float(torch.linalg.cond(rows @ rows.T)), rel=1e-3)


def test_zen_is_its_formula() -> None:
    """The change of the features, and the batch norm's variances over the batch, whatever its momentum."""
    inputs = Inputs(batch=16, image=(3, 4, 4), reinitialize=False)
    net = small().train()
    images = inputs.images()
    with torch.no_grad():
        before, after = (net[:5](x) for x in (images, images + 0.01 * inputs.images("step")))
        variance = net[0](images).double().var((0, 2, 3), unbiased=False).mean()
    change = float((before - after).double().abs().sum(1).mean())
    assert zen(small(), inputs) == pytest.approx(math.log(change) + 0.5 * math.log(variance), rel=1e-5)


def test_zen_adds_the_scales_of_batch_norms() -> None:
    """Scaling the weights before a batch norm is divided out by it and added back."""
    inputs = Inputs(batch=16, image=(3, 4, 4), reinitialize=False)
    plain, scaled = small(), small()
    scaled[0].weight.data *= 100
    scaled[0].bias.data *= 100
    assert zen(scaled, inputs) - zen(plain, inputs) == pytest.approx(math.log(100), abs=1e-3)


def test_size() -> None:
    """Parameters, and two FLOPs for each multiplication of convolution and head."""
    assert params(small(), INPUTS) == 3 * 5 * 9 + 5 + 10 + 5 * 4 + 4
    assert flops(small(), INPUTS) == 2 * (3 * 5 * 9 * 16 + 5 * 4)


class Blocks(nn.Module):
    """A stem and two blocks with known features: white, then half of the channels, then all."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False))
        self.blocks = nn.Sequential(nn.Sequential(nn.Conv2d(4, 4, 1, bias=False)), last)
        nn.init.dirac_(self.stem[0].weight)
        nn.init.dirac_(self.blocks[0][0].weight)
        self.blocks[0][0].weight.data[2:] = 0
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def test_az_of_known_features() -> None:
    """Entropy log 4 of white features, log 2 of their half; an identity map gets the worst trainability."""
    inputs = Inputs(batch=64, image=(4, 8, 8), reinitialize=False)
    parts = az(Blocks(nn.Sequential(nn.Conv2d(4, 4, 1, bias=False))), inputs)
    assert parts.progressivity == pytest.approx(math.log(2) - math.log(4), abs=0.01)
    half = Blocks(nn.Sequential(nn.Identity(), nn.Conv2d(4, 4, 1, bias=False)))
    nn.init.dirac_(half.blocks[1][1].weight)
    known = az(half, inputs)
    assert known.expressivity == pytest.approx(math.log(4) + 2 * math.log(2), abs=0.02)
    assert known.trainability < -1e5


NETWORKS = {
    "UniNAS": build(preset("coatnet", Skeleton(image_size=16, classes=4, stem=(8, 16), channels=(32,), depths=(1,)))),
    "cell": NASBench201Space().build(NASBench201Space().sample(random.Random(1))),
}


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("kind", NETWORKS)
def test_every_proxy_leaves_no_trace(name: str, kind: str) -> None:
    """A proxy's value depends on the module and its inputs alone; module and global generators stay as they are."""
    net = copy.deepcopy(NETWORKS[kind]).train()
    next(net.parameters()).requires_grad_(False)
    asked = [p.requires_grad for p in net.parameters()]
    before = {key: value.clone() for key, value in net.state_dict().items()}
    state, python, numpy = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    inputs = Inputs(batch=16, image=(3, 16, 16), seed=3)
    value = score(net, [name], inputs)[name]
    assert math.isfinite(value)
    assert torch.equal(state, torch.get_rng_state())
    assert python == random.getstate()
    assert (numpy == np.random.get_state()[1]).all()
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(module.training for module in net.modules())
    assert asked == [p.requires_grad for p in net.parameters()]
    assert all(p.grad is None for p in net.parameters())
    torch.manual_seed(99)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1)
    assert score(net, [name], inputs)[name] == value


def test_seeds_matter() -> None:
    """Another seed draws other weights and images."""
    net = NETWORKS["cell"]
    values = [score(net, ["naswot", "snip"], Inputs(batch=8, image=(3, 16, 16), seed=s)) for s in (0, 1)]
    assert values[0] != values[1]


class Disconnected(nn.Module):
    """A head that sees zeros instead of the features."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.activation, self.head = nn.Conv2d(3, 5, 1), nn.ReLU(), nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.activation(self.convolution(x * 0)).mean((2, 3)) * 0)


class Exploding(Disconnected):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.activation(self.convolution(x)).mean((2, 3))) / torch.zeros(1)


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize(
    "net",
    [
        Disconnected(),
        Exploding(),
        nn.Sequential(nn.Flatten(), nn.Linear(48, 1)),
        nn.Flatten(),
        NASBench201Space().build(NASBench201Space().decode("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")),
    ],
    ids=["disconnected", "NaN", "one class", "no parameters", "cell of none"],
)
def test_degenerate_networks_give_a_number_or_an_error(net: nn.Module, name: str) -> None:
    """Never NaN, never another exception than ProxyError."""
    image = (3, 16, 16) if hasattr(net, "stem") else (3, 4, 4)
    with contextlib.suppress(ProxyError):
        assert math.isfinite(score(net, [name], Inputs(batch=8, image=image))[name])


@pytest.mark.parametrize(
    ("proxy", "net", "message"),
    [
        (jacov, Disconnected(), "logits that depend on the image.*connect the network"),
        (synflow, nn.Sequential(nn.Flatten(), nn.BatchNorm1d(48)), "no trainable convolution or linear layer"),
        (synflow, Disconnected(), "no path leads from the image"),
        (naswot, nn.Sequential(nn.Flatten(), nn.Linear(48, 4)), "Sequential calls none: use one of them"),
        (naswot, Disconnected(), "same activation pattern"),
        (zen, Disconnected(), "features do not depend on the image"),
        (az, nn.Sequential(nn.Flatten(), nn.Linear(48, 4)), "at least two are needed, found 0"),
    ],
)
def test_messages_name_the_cure(proxy: object, net: nn.Module, message: str) -> None:
    """Errors say what is wrong and what to do."""
    assert callable(proxy)
    with pytest.raises(ProxyError, match=message):
        proxy(net, Inputs(batch=8, image=(3, 4, 4)))


def test_unknown_names_are_listed() -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(ProxyError, match=r"no proxy 'vkd': choose among vkdnw, .*vkdnw_agg"):
        score(small(), ["vkd"], INPUTS)


def test_zico_needs_two_batches() -> None:
    """A variation needs at least two gradients."""
    with pytest.raises(ProxyError, match="at least 2, got 1"):
        zico(small(), INPUTS, batches=1)


def test_one_score_for_all() -> None:
    """Settings reach a proxy's function, standard errors are called NAME_se, and known costs stand for proxies."""
    inputs = Inputs(batch=32, image=(3, 16, 16))
    settings = {"vkdnw": {"inits": 2, "entries": 1, "mode": "exact"}}
    values = score(NETWORKS["UniNAS"], ["vkdnw", "flops"], inputs, settings, costs={"flops": 7.0})
    assert values.keys() == {"vkdnw", "vkdnw_se", "flops"}
    assert values["vkdnw_se"] > 0
    assert values["flops"] == 7
    assert "vkdnw_se" not in score(NETWORKS["UniNAS"], ["vkdnw"], inputs, {"vkdnw": {"inits": 1, "entries": 1}})


def test_a_network_tells_its_initialization_and_blocks() -> None:
    """Any module that is `Scorable` is drawn by itself and scored by block; UniNAS networks are."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())
            self.head = nn.Linear(4, 3)
            self.seeds: list[int] = []

        def reinitialize(self, seed: int) -> None:
            self.seeds.append(seed)

        @property
        def blocks(self) -> list[nn.Module]:
            return [self.stem]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.stem(x).mean((2, 3)))

    net = Own()
    result = vkdnw(net, Inputs(batch=8, image=(3, 8, 8)), inits=1, entries=1, spectrum=True)
    assert result.score == result.mean  # by block: no layers are added
    assert result.spectrum is not None
    assert result.spectrum[0].shape[-1] == 4
    assert net.seeds == []  # a copy was drawn anew
    assert isinstance(net, Scorable)
    assert isinstance(NETWORKS["UniNAS"], Scorable)


def test_proxies_know_no_space() -> None:
    """No file of the room imports one."""
    for path in Path(taps.__file__).parent.glob("*.py"):
        assert "uninas_evo.spaces" not in path.read_text(), path


def test_pictures_stand_for_noise() -> None:
    """A batch's images and labels are those of the data, drawn together by the key; steps of noise stay noise."""
    images = torch.randn(40, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    inputs = replace(INPUTS, pictures=Pictures(images, torch.arange(40) % 4))
    drawn, labels = inputs.images(1), inputs.labels(4, 1)
    places = [int(((images - one) ** 2).flatten(1).sum(1).argmin()) for one in drawn]
    assert len(set(places)) == 6
    assert torch.equal(images[places], drawn)
    assert labels.tolist() == [place % 4 for place in places]
    assert not torch.equal(inputs.images(2), drawn)
    assert torch.equal(inputs.noise("step"), INPUTS.noise("step"))
    assert snip(small(), inputs) != snip(small(), INPUTS)
    with pytest.raises(ProxyError, match="the images have 4 classes and the network tells 3 apart"):
        inputs.labels(3, 1)
    with pytest.raises(ProxyError, match="needs as many to draw from, got 40; lower batch"):
        replace(inputs, batch=41).images()


@pytest.mark.parametrize("name", sorted(PROXIES))
def test_calibrated_norms_are_those_of_a_batch_of_their_own(name: str) -> None:
    """Every proxy scores with them, and where there is no batch norm they change nothing."""
    skeleton = Skeleton(image_size=16, classes=4, stem=(8, 8), channels=(32, 32), depths=(1, 1))
    net, inputs = build(preset("efficientnet", skeleton)), Inputs(batch=16, image=(3, 16, 16))
    calibrated = replace(inputs, calibrated_norms=True)
    assert score(net, [name], calibrated) == score(net, [name], calibrated)
    blind = name in ("params", "flops", "layers", "synflow")
    assert (score(net, [name], calibrated) == score(net, [name], inputs)) == blind


def test_calibration_sets_the_batchs_statistics() -> None:
    """Means and variances of what each norm is given; then it stays so."""
    net, images = small(), INPUTS.images("calibration")
    calibrated = prepare(net, replace(INPUTS, calibrated_norms=True), training=True)
    seen = net[0](images)
    torch.testing.assert_close(calibrated[1].running_mean, seen.mean((0, 2, 3)))
    torch.testing.assert_close(calibrated[1].running_var, seen.var((0, 2, 3)))
    assert not calibrated[1].training
    assert float(net[1].running_mean.abs().sum()) == 0
