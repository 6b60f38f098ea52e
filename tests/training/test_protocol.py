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


def test_every_setting_of_a_builtin_has_its_reason() -> None:
    """Each line of the imagenet protocol that sets a value names its source, or stands under one that does."""
    text = (Path(__file__).parents[2] / "uninas_evo/training/protocols/imagenet.toml").read_text()
    settings = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    unexplained = [line for line in settings if "#" not in line]
    assert unexplained == ["std = [0.229, 0.224, 0.225]"]  # explained by the mean above it


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
        ('base = "small"\nmixup = 1.0\nbatch_size = 31', "pair images: batch_size must be even, got 31"),
        ("epochs = ", "is not TOML"),
        ('base = "large"', "there is no protocol 'large': give one of imagenet, small, or the path"),
    ],
)
def test_wrong_files_name_the_fault(tmp_path: Path, text: str, message: str) -> None:
    """A wrong protocol file is refused with what is wrong, the value and the rule."""
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(TrainingError, match=message):
        load_protocol(file)
