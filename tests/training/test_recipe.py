"""The recipe's parts equal timm's own on the same settings."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import timm
import timm.loss
import torch
from PIL import Image
from timm.data import rand_augment_transform
from timm.scheduler import CosineLRScheduler
from torch import nn

from uninas_evo.training import recipe, transforms
from uninas_evo.training.batches import Normalize, training_plans
from uninas_evo.training.protocol import Protocol, load_protocol
from uninas_evo.training.randomness import seeded


def test_schedule_is_timms(protocol: Protocol) -> None:
    """The rate at every step is the linear warm-up and the cosine of timm, and of the formula."""
    protocol = protocol.replace(epochs=5, warmup_epochs=2, warmup_lr=1e-5, min_lr=1e-4, lr=0.1)
    steps = 7
    parameter = nn.Parameter(torch.zeros(2))
    optimizer = recipe.make_optimizer(nn.ParameterList([parameter]), protocol)
    schedule = recipe.make_schedule(optimizer, protocol, steps)
    theirs = CosineLRScheduler(
        torch.optim.SGD([parameter], lr=0.1), t_initial=5 * steps, lr_min=1e-4, warmup_t=2 * steps,
        warmup_lr_init=1e-5, t_in_epochs=False,
    )  # fmt: skip
    for done in range(5 * steps):
        if done:
            schedule.step_update(done)
            theirs.step_update(done)
        expected = (
            1e-5 + done * (0.1 - 1e-5) / 14
            if done < 14
            else 1e-4 + 0.5 * (0.1 - 1e-4) * (1 + np.cos(np.pi * done / 35))
        )
        assert optimizer.param_groups[0]["lr"] == theirs.optimizer.param_groups[0]["lr"]
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-12)


def rates(protocol: Protocol, steps: int) -> list[float]:
    """The rate of every step."""
    optimizer = recipe.make_optimizer(nn.ParameterList([nn.Parameter(torch.zeros(2))]), protocol)
    schedule = recipe.make_schedule(optimizer, protocol, steps)
    found = []
    for done in range(protocol.epochs * steps):
        if done:
            schedule.step_update(done)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def test_other_schedules_follow_their_formulas(protocol: Protocol) -> None:
    """Step and exponential decay by decay_rate in decay_epochs, a cosine ends at min_lr and stays there."""
    plain = protocol.replace(
        epochs=6, warmup_epochs=1, warmup_lr=0, lr=0.1, decay_rate=0.25, decay_epochs=2, min_lr=1e-3
    )
    assert rates(plain.replace(schedule="step"), 5)[5::5] == pytest.approx([0.1, 0.025, 0.025, 0.1 / 16, 0.1 / 16])
    smooth = rates(plain.replace(schedule="exponential"), 49)
    assert smooth[49:] == pytest.approx([0.1 * 0.25 ** (done / 98) for done in range(49, 294)])
    cooled = rates(plain.replace(cooldown_epochs=2), 5)
    assert cooled[:20] == pytest.approx(rates(plain.replace(epochs=4, warmup_epochs=1), 5))
    assert cooled[20:] == [1e-3] * 10


def decayed(optimizer: torch.optim.Optimizer) -> set[int]:
    return {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}


def test_weight_decay_groups_are_timms() -> None:
    """On a timm network with bias tables, the same parameters decay as in timm's own optimizer."""
    swin = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False, img_size=64, window_size=2)
    theirs = timm.optim.create_optimizer_v2(swin, opt="adamw", lr=1e-3, weight_decay=0.05)
    ours = recipe.make_optimizer(swin, load_protocol("small"))
    tables = {id(p) for n, p in swin.named_parameters() if n.endswith("relative_position_bias_table")}
    assert tables
    assert decayed(ours) - tables == decayed(theirs)
    assert type(ours) is type(theirs)
    assert {g["weight_decay"] for g in ours.param_groups} == {0.0, 0.05}


def test_neither_norms_nor_biases_nor_tables_decay() -> None:
    """Weight decay holds for the weights of convolutions and linear layers alone."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 4), nn.LayerNorm(4))
    bias = nn.Module()
    bias.table = nn.Parameter(torch.zeros(2, 9))
    network.append(bias)
    names = {id(p): n for n, p in network.named_parameters()}
    optimizer = recipe.make_optimizer(network, load_protocol("small"))
    assert {names[i] for i in decayed(optimizer)} == {"0.weight", "2.weight"}


def test_augmentation_policy_is_timms() -> None:
    """The imagenet protocol's transform does what timm's script composes from the same settings."""
    protocol = load_protocol("imagenet")
    ours = transforms.train_transform(protocol, (3, 64, 64))
    policy = next(t for t in ours.steps.transforms if type(t).__name__ == "RandAugment")
    theirs = rand_augment_transform(
        "rand-m15-n2-mstd0.5", {"translate_const": 28, "img_mean": (124, 116, 104), "interpolation": Image.BICUBIC}
    )
    assert repr(policy) == repr(theirs)
    reference = timm.data.create_transform(
        64, is_training=True, auto_augment="rand-m15-n2-mstd0.5", interpolation="bicubic"
    )
    normalize = Normalize(protocol.mean, protocol.std, torch.device("cpu"), channels_last=False)
    image = Image.effect_noise((90, 70), 80).convert("RGB")
    for step in range(20):
        with seeded(step):
            mine = normalize(torch.from_numpy(ours(np.asarray(image)))[None])
        with seeded(step):
            assert torch.allclose(mine[0], reference(image), atol=1e-5)


def test_evaluation_transform_is_timms() -> None:
    """Resize, center crop and normalization are those of timm's evaluation."""
    protocol = load_protocol("imagenet")
    reference = timm.data.create_transform(64, interpolation="bicubic", crop_pct=0.95)
    normalize = Normalize(protocol.mean, protocol.std, torch.device("cpu"), channels_last=True)
    image = Image.effect_noise((90, 70), 80).convert("RGB")
    pixels = torch.from_numpy(np.asarray(transforms.eval_transform(protocol, (3, 64, 64))(np.asarray(image))))
    assert torch.allclose(normalize(pixels[None])[0], reference(image), atol=1e-5)


def test_loss_under_mixup_is_timms(protocol: Protocol) -> None:
    """Targets and loss under mixup and cutmix equal timm's mixup with its soft cross-entropy."""
    mixer = recipe.make_mixup(protocol, 3)
    assert mixer is not None
    theirs = timm.data.Mixup(mixup_alpha=0.2, cutmix_alpha=1.0, label_smoothing=0.1, num_classes=3)
    images, labels = torch.rand(8, 3, 6, 6), torch.arange(8) % 3
    logits = torch.randn(8, 3)
    for step in range(10):
        with seeded(step):
            x, y = mixer(images.clone(), labels)
        with seeded(step):
            xt, yt = theirs(images.clone(), labels)
        assert torch.equal(x, xt)
        assert torch.allclose(
            recipe.make_loss(protocol)(logits, y), timm.loss.SoftTargetCrossEntropy()(logits, yt), atol=1e-6
        )


def test_label_smoothing_is_timms(protocol: Protocol) -> None:
    """Without mixup the loss is timm's smoothed cross-entropy, and mixup is off."""
    plain = protocol.replace(mixup=0, cutmix=0)
    assert recipe.make_mixup(plain, 3) is None
    logits, labels = torch.randn(8, 3), torch.arange(8) % 3
    expected = timm.loss.LabelSmoothingCrossEntropy(0.1)(logits, labels)
    assert torch.allclose(recipe.make_loss(plain)(logits, labels), expected, atol=1e-6)


def test_average_is_timms(protocol: Protocol, make_net: Callable[[], nn.Module]) -> None:
    """The average is timm's, with its warm-up; a decay of 0 switches it off."""
    average = recipe.make_average(make_net(), protocol.replace(ema_decay=0.99))
    assert average is not None
    theirs = timm.utils.ModelEmaV3(make_net(), decay=0.99, use_warmup=True)
    assert [average.get_decay(s) for s in range(30)] == [theirs.get_decay(s) for s in range(30)]
    assert recipe.make_average(make_net(), protocol.replace(ema_decay=0)) is None


def test_seeded_leaves_the_global_generators_alone() -> None:
    """Within the block the key decides the draws; after it every global generator stands where it stood."""

    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    def state() -> tuple[object, ...]:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    before = state()
    with seeded(1, 2):
        first = draw()
    with seeded(1, 2):
        assert draw() == first
    with seeded(2, 1):
        assert draw() != first
    assert state() == before


def test_padded_crops_move_the_image(protocol: Protocol) -> None:
    """A padded crop is the image shifted by at most `pad`, the mean beyond its border."""
    plain = protocol.replace(scale=(1, 1), auto_augment="", hflip=0, pad=2, mean=(0.25,), std=(0.5,))
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    around = np.pad(image, ((2, 2), (2, 2), (0, 0)), constant_values=64)
    shifts = {tuple((around[y : y + 8, x : x + 8].transpose(2, 0, 1)).ravel()) for y in range(5) for x in range(5)}
    for shape in ((3, 8, 8), (2, 8, 8)):
        crop = transforms.train_transform(plain, shape)
        found = set()
        for step in range(60):
            with seeded(step):
                found.add(tuple(crop(image[:, :, : shape[0]]).ravel()))
        assert len(found) > 15
        assert shape[0] == 2 or found <= shifts


def test_cutout_fills_a_square_with_the_mean(protocol: Protocol) -> None:
    """A square of the side stated, cut at the borders, is the mean; all else is untouched; gray images too."""
    plain = protocol.replace(scale=(1, 1), auto_augment="", hflip=0, cutout=4, mean=(0.25,), std=(0.5,))
    for channels in (1, 3):
        cut = transforms.train_transform(plain, (channels, 9, 9))
        areas = []
        for step in range(40):
            with seeded(step):
                pixels = cut(np.full((9, 9, channels), 200, np.uint8))
            assert set(np.unique(pixels)) == {64, 200}
            areas.append(int((pixels[0] == 64).sum()))
        assert max(areas) == 16
        assert min(areas) < 16


def test_repeats_show_an_image_several_times_in_its_batch() -> None:
    """As many steps an epoch, fewer images, each so many times in one batch; over two processes in both."""
    tasks = training_plans(20, 6, seed=0, epoch=0, repeats=3)
    assert len(tasks) == len(training_plans(20, 6, seed=0, epoch=0)) == 3
    for task in tasks:
        assert sorted(Counter(task.indices).values()) == [3, 3]
    halves = [training_plans(20, 4, seed=0, epoch=0, rank=rank, world=2, repeats=2) for rank in (0, 1)]
    assert [task.indices for task in halves[0]] == [task.indices for task in halves[1]]
    assert [task.key for task in halves[0]] != [task.key for task in halves[1]]
