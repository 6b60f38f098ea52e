"""Protocols: built-in files load, wrong ones are refused with the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from uninas_evo.errors import TrainingError
from uninas_evo.training.protocol import load_protocol


def test_imagenet_is_the_papers() -> None:
    """What Table III of the paper fixes stands in the imagenet protocol."""
    p = load_protocol("imagenet")
    assert (p.epochs, p.batch_size, p.image_size, p.optimizer) == (300, 48 * 8, 224, "adamw")
    assert p.auto_augment == "rand-m15-n2-mstd0.5"
    assert p.warmup_epochs > 0
    assert p.clip_grad > 0
    assert p.drop_path > 0
    assert p.ema_decay > 0


CELLS = ["darts-cifar", "darts-imagenet", "unas-cifar", "unas-imagenet"]
PUBLISHED = ["imagenet", "deit", "deit-finetune", "coco", "coco-3x", "ade20k", *CELLS, "proxyless", "ofa"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_setting_of_a_builtin_has_its_reason(name: str) -> None:
    """Each line of a published protocol that sets a value names its source, or stands under one that does."""
    text = (Path(__file__).parents[2] / f"uninas_evo/training/protocols/{name}.toml").read_text()
    settings = [line for line in text.splitlines() if "=" in line and not line.startswith(("#", "base"))]
    unexplained = [line for line in settings if "#" not in line]
    assert unexplained in ([], ["std = [0.229, 0.224, 0.225]"])  # explained by the mean above it


def test_deit_is_uninets() -> None:
    """The values that UniNet's paper and code state; the fine-tuning changes the rate and how images are cut."""
    p = load_protocol("deit")
    assert (p.epochs, p.cooldown_epochs, p.warmup_epochs, p.batch_size, p.lr) == (310, 10, 5, 1024, 1e-3)
    assert (p.weight_decay, p.min_lr, p.warmup_lr, p.ema_decay) == (0.05, 1e-5, 1e-6, 0.99996)
    assert (p.label_smoothing, p.mixup, p.cutmix, p.auto_augment) == (0.1, 0.8, 1.0, "rand-m9-mstd0.5-inc1")
    assert (p.repeats, p.clip_grad, p.amp, p.crop_mode, p.crop_pct) == (1, 0, "float16", "center", 224 / 256)
    tuned = load_protocol("deit-finetune")
    assert (tuned.lr, tuned.crop_mode, tuned.mixup) == (5e-6, "squash", p.mixup)


def test_coco_and_ade20k_are_the_papers() -> None:
    """What the papers state: batches of 4 a GPU on 4 GPUs, AdamW, their schedules; 3x changes its length and sizes."""
    coco, longer, ade = (load_protocol(name) for name in ("coco", "coco-3x", "ade20k"))
    assert (coco.task, coco.batch_size, coco.optimizer, coco.schedule, coco.hflip) == (
        "detection", 16, "adamw", "multistep", 0.5
    )  # fmt: skip
    assert (ade.task, ade.batch_size, ade.optimizer, ade.schedule) == ("segmentation", 16, "adamw", "linear")
    assert (longer.epochs, longer.decay_at) == (36, (27, 33))
    assert longer.detection.sizes[0] == 480
    assert longer.replace(epochs=12, decay_at=coco.decay_at, detection={"sizes": ()}) == coco


def test_cells_and_mobile_networks_are_the_papers() -> None:
    """What DARTS, UNAS and Once-for-All state; UNAS differs from DARTS in batch and rates."""
    darts, darts_large, unas, unas_large = map(load_protocol, CELLS)
    assert (darts.epochs, darts.batch_size, darts.lr, darts.weight_decay, darts.clip_grad) == (600, 96, 0.025, 3e-4, 5)
    assert (darts.auxiliary, darts.drop_path, darts.drop_path_grows, darts.cutout) == (0.4, 0.2, True, 16)
    assert unas == darts.replace(batch_size=128, lr=0.05, warmup_epochs=30)
    assert (darts_large.epochs, darts_large.batch_size, darts_large.lr, darts_large.decay_rate) == (250, 128, 0.1, 0.97)
    assert unas_large == darts_large.replace(batch_size=1024, lr=0.8, warmup_epochs=5, schedule="cosine")
    mobile, ofa = load_protocol("proxyless"), load_protocol("ofa")
    assert (mobile.epochs, mobile.weight_decay, mobile.lr / mobile.batch_size) == (300, 5e-5, 0.025 / 64)
    assert (ofa.epochs, ofa.batch_size, ofa.lr, ofa.weight_decay, ofa.dropout) == (180, 2048, 2.6, 3e-5, 0.1)


def test_a_table_is_changed_setting_by_setting() -> None:
    """The others of the table stay."""
    coco = load_protocol("coco")
    changed = coco.replace(detection={"width": 64})
    assert (changed.detection.width, changed.detection.leave_out_empty) == (64, True)


def test_base_is_extended(tmp_path: Path) -> None:
    """A file with a base holds the base's settings but for those that it states."""
    file = tmp_path / "mine.toml"
    file.write_text('base = "small"\nepochs = 3\n')
    assert load_protocol(file) == load_protocol("small").replace(epochs=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 0", r"epochs: should be greater than or equal to 1, got 0"),
        ('base = "small"\nlearning_rate = 1', r"learning_rate: there is no such field, got 1"),
        (
            'base = "small"\nepochs = 8\nwarmup_epochs = 8',
            "warmup_epochs must be less than epochs, got 8 and 8; shorten",
        ),
        ('base = "small"\ncooldown_epochs = 11', "cooldown_epochs follow a cosine within the epochs, got 11 of 12"),
        ('base = "small"\nschedule = "step"\ncooldown_epochs = 1', "and the schedule step; shorten them"),
        ('base = "small"\nrepeats = 3', "repeats must divide batch_size, got 3 and 64"),
        ('base = "small"\npad = 4', "pad stands instead of the resized crop, got pad 4 and scale"),
        ('base = "small"\nmixup = 1.0\nbatch_size = 31', "pair images: batch_size must be even, got 31"),
        ("epochs = ", "is not TOML"),
        ("x = " + "[" * 5000, "is not TOML"),
        ('base = "small"\nepochs = ' + "9" * 5000, "is not TOML"),
        ('base = "small"\nauto_augment = "evil"', "auto_augment must be one of timm's strings, got 'evil'"),
        ('base = "small"\nauto_augment = "rand-m9-n999999999"', "auto_augment must be one of timm's strings"),
        ('base = "small"\ncrop_pct = 1e-9', r"crop_pct: should be greater than or equal to 0\.1, got 1e-09"),
        ('base = "small"\ncrop_mode = "cut"', "crop_mode: should be 'squash', 'border' or 'center', got 'cut'"),
        ('base = "small"\nratio = [0, 0]', r"ratio\.0: should be greater than or equal to 0\.1, got 0"),
        ('base = "small"\nratio = [2.0, 1.0]', r"ratio must be a range from low to high, got 2\.0 and 1\.0"),
        ('base = "small"\nscale = [1e-9, 1]', r"scale\.0: should be greater than or equal to 0\.01"),
        ('base = "small"\nstd = [0.5, 0, 0.5]', r"std\.1: should be greater than 0, got 0"),
        ('base = "small"\nmean = []', "mean: "),
        ('base = "small"\nlr = inf', "lr: should be a finite number"),
        ('base = "small"\nlr = nan', "lr: should be a finite number"),
        ('base = "small"\nepochs = 1000000000', "epochs: should be less than or equal to 100000"),
        ('base = "small"\nimage_size = 1000000000', "image_size: should be less than or equal to 4096"),
        ("base = 3", "has the base 3: it must name another protocol"),
        (
            'base = "large"',
            "there is no protocol 'large': give one of ade20k, coco, coco-3x, darts-cifar, darts-imagenet, deit, "
            "deit-finetune, detection-small, imagenet, multilabel-small, ofa, proxyless, regression-small, "
            "segmentation-small, small, unas-cifar, unas-imagenet, or",
        ),
    ],
)
def test_wrong_files_name_the_fault(tmp_path: Path, text: str, message: str) -> None:
    """A wrong protocol file is refused with what is wrong, the value and the rule."""
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(TrainingError, match=message):
        load_protocol(file)


def test_a_base_that_leads_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two protocols that start from each other are refused."""
    monkeypatch.chdir(tmp_path)
    for name, base in (("a", "b"), ("b", "a")):
        Path(f"{name}.toml").write_text(f'base = "{base}.toml"\n')
    with pytest.raises(TrainingError, match=r"it must name another protocol that does not start from this one"):
        load_protocol("a.toml")


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    """A protocol saved with a byte-order mark is read; one that is not UTF-8 is told."""
    file = tmp_path / "mine.toml"
    file.write_text('base = "small"\n', encoding="utf-8-sig")
    assert load_protocol(file) == load_protocol("small")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TrainingError, match="is not TOML"):
        load_protocol(file)


@pytest.mark.parametrize("name", ["rand-m9-mstd0.5", "rand-m15-n2-mstd0.5-inc1-p0.5-tweights", "augmix-m5-w4-d2", "v0"])
def test_timms_augmentations_are_taken(name: str) -> None:
    """What timm's documentation shows passes, and timm takes it."""
    from uninas_evo.training.transforms import train_transform

    train_transform(load_protocol("small").replace(auto_augment=name), (3, 16, 16))
