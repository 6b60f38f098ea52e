"""Protocols: every setting of a training run in one TOML file, so that networks are compared alike.

Built-in ones lie in `protocols/`: `imagenet` (the paper's) and `small` (two CPU cores, minutes). A file of one's
own may start from another by `base = "small"` and state only what differs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from uninas_evo.errors import TrainingError
from uninas_evo.mistakes import check

_FOLDER = Path(__file__).parent / "protocols"

Fraction = Annotated[float, Field(ge=0, lt=1)]
Amount = Annotated[float, Field(ge=0)]
Color = tuple[float, float, float]


class Protocol(pydantic.BaseModel):
    """The settings of a training run; 0 or "" switches an optional part off.

    Names and meanings are timm's, whose parts apply them. Defaults are off where a part is optional.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2, description="images a step, over all processes together")
    image_size: int = Field(0, ge=0, description="pixels; 0: the skeleton's")
    val_fraction: float = Field(0.1, gt=0, lt=1, description="of the training part, where there is no val part")

    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(gt=0)
    weight_decay: Amount = 0.05
    betas: tuple[Fraction, Fraction] = Field((0.9, 0.999), description="of adamw")
    clip_grad: Amount = Field(0.0, description="greatest norm of the whole gradient")

    warmup_epochs: int = Field(0, ge=0)
    warmup_lr: Amount = 0.0
    min_lr: Amount = 0.0

    label_smoothing: Fraction = 0.0
    mixup: Amount = Field(0.0, description="alpha of the beta distribution")
    cutmix: Amount = Field(0.0, description="alpha of the beta distribution")
    drop_path: Fraction = Field(0.0, description="of the last block; grows linearly from 0 at the first")
    ema_decay: Fraction = 0.0
    ema_warmup: bool = Field(False, description="start from a short average (timm's use_warmup)")

    scale: tuple[float, float] = Field((1.0, 1.0), description="area of the random resized crop")
    ratio: tuple[float, float] = Field((1.0, 1.0), description="its aspect ratio")
    hflip: Annotated[float, Field(ge=0, le=1)] = 0.0
    color_jitter: Amount = 0.0
    auto_augment: str = Field("", description="timm's configuration string, such as rand-m9-mstd0.5")
    interpolation: Literal["bilinear", "bicubic", "random"] = "bicubic"
    crop_pct: float = Field(1.0, gt=0, le=1, description="of the center crop in evaluation")
    mean: Color = (0.5, 0.5, 0.5)
    std: Color = (0.5, 0.5, 0.5)

    amp: Literal["", "bfloat16", "float16"] = Field("", description="mixed precision, on a GPU only")
    channels_last: bool = Field(True, description="memory layout of images and convolutions")

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs must be less than epochs, got {self.warmup_epochs} and {self.epochs}; "
                "shorten the warm-up or train longer"
            )
        if (self.mixup or self.cutmix) and self.batch_size % 2:
            raise ValueError(f"mixup and cutmix pair images: batch_size must be even, got {self.batch_size}")
        return self

    def replace(self, **changes: Any) -> Protocol:
        """The protocol with some settings changed, checked again.

        Raises:
            TrainingError: a name or a value is wrong.
        """
        return _validated(self.model_dump() | changes, "the changed protocol")


def load_protocol(name: str | Path) -> Protocol:
    """Reads a built-in protocol by its name or one's own by its path.

    Raises:
        TrainingError: there is no such protocol, or a setting is wrong.
    """
    return _validated(_settings(str(name)), f"protocol {str(name)!r}")


def _settings(name: str) -> dict[str, Any]:
    path = _FOLDER / f"{name}.toml"
    path = path if path.is_file() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in _FOLDER.glob("*.toml")))
        raise TrainingError(f"there is no protocol {name!r}: give one of {known}, or the path of a TOML file")
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"protocol {name!r} is not TOML: {error}; fix the file") from error
    base = settings.pop("base", None)
    return (_settings(base) if base else {}) | settings


def _validated(settings: Mapping[str, Any], what: str) -> Protocol:
    protocol, mistakes = check(Protocol, settings, (), Path())
    if mistakes:
        raise TrainingError(f"{what} is wrong: {'; '.join(mistakes)}; the fields are listed in docs/training.md")
    return Protocol.model_validate(protocol)
