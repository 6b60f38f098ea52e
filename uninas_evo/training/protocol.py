"""Protocols: every setting of a training run in one TOML file, so that networks are compared alike.

Built-in ones lie in `protocols/`: `imagenet` (the paper's), `deit` (UniNet's, which is DeiT's), `deit-finetune` (the
same network on larger images), `coco`, `coco-3x` and `ade20k` (detection and segmentation as the papers have them),
`darts-cifar`, `darts-imagenet`, `unas-cifar`, `unas-imagenet`, `proxyless` and `ofa` (cells and mobile networks as
their papers train them), and `small` and `TASK-small` for every other task (two CPU cores, minutes). A file of one's
own may start from another by `base = "small"` and state only what differs.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from uninas_evo.errors import TrainingError
from uninas_evo.files import decoded
from uninas_evo.mistakes import check, nearest
from uninas_evo.training.tables import DetectionTable, SegmentationTable

_FOLDER = Path(__file__).parent / "protocols"

CropMode = Literal["squash", "border", "center"]
"""timm's names for what becomes of images in other proportions than the network's."""
Fraction = Annotated[float, Field(ge=0, lt=1)]
Amount = Annotated[float, Field(ge=0, le=1e6)]
Channels = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1, max_length=16)]
Deviations = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1, max_length=16)]
Area = Annotated[float, Field(ge=0.01, le=1)]
Proportion = Annotated[float, Field(ge=0.1, le=10)]

AUGMENT = re.compile(
    r"rand(-(m\d{1,2}|n\d{1,2}|p(0(\.\d+)?|1(\.0+)?)|mstd\d{1,3}(\.\d+)?|mmax\d{1,2}|inc[01]|t(weights|3a|all|original)))*"
    r"|augmix(-(m\d{1,2}|w[1-9]|d[1-9]|a\d{1,2}(\.\d+)?|b[01]|mstd\d{1,3}(\.\d+)?))*"
    r"|(original|originalr|v0|v0r|3a)(-mstd\d{1,3}(\.\d+)?)?"
)
"""timm's language of augmentations; counts have at most two digits, since each layer is one more pass over an image."""
TaskName = Literal["classification", "multilabel", "regression", "detection", "segmentation"]
WHOLE = ("classification", "multilabel", "regression")
"""Tasks that say something of a whole image of one size."""
SMALL = {
    "classification": "small",
    "multilabel": "multilabel-small",
    "regression": "regression-small",
    "detection": "detection-small",
    "segmentation": "segmentation-small",
}
"""The protocol of each task for two cores and minutes."""
MOST_BYTES = 1_000_000
"""A protocol's file is no larger."""


class Protocol(pydantic.BaseModel):
    """The settings of a training run; 0 or "" switches an optional part off.

    Names and meanings are timm's, whose parts apply them. Defaults are off where a part is optional.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    task: TaskName = "classification"
    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(ge=2, le=1_000_000, description="images a step, over all processes together")
    image_size: int = Field(
        0,
        ge=0,
        le=4096,
        description="pixels; 0: the network's. Of detection the shorter side that images are resized to, of "
        "segmentation that of evaluation and the side of training crops",
    )
    val_fraction: float = Field(0.1, gt=0, lt=1, description="of the training part, where there is no val part")

    patience: int = Field(
        0, ge=0, le=100_000, description="epochs without a better validation accuracy that end a training; 0 for none"
    )

    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(gt=0, le=1e6)
    weight_decay: Amount = 0.05
    betas: tuple[Fraction, Fraction] = Field((0.9, 0.999), description="of adamw")
    clip_grad: Amount = Field(0.0, description="greatest norm of the whole gradient")

    start_from: str = Field(
        "",
        description="folder of an ended training of the same network, also at another image size or of another task: "
        "fine-tuning",
    )

    schedule: Literal["cosine", "step", "exponential", "multistep", "linear"] = "cosine"
    warmup_epochs: int = Field(0, ge=0, le=100_000)
    warmup_steps: int = Field(0, ge=0, le=1_000_000, description="instead of warmup_epochs: steps of the warm-up")
    warmup_lr: Amount = 0.0
    min_lr: Amount = Field(0.0, description="where the cosine or the line ends")
    cooldown_epochs: int = Field(0, ge=0, le=100_000, description="last epochs, at min_lr; they count among epochs")
    decay_rate: float = Field(
        0.1,
        gt=0,
        le=1,
        description="factor of step and exponential after decay_epochs, of multistep at each of decay_at",
    )
    decay_epochs: float = Field(30.0, gt=0, le=100_000, description="exponential decays at every step instead")

    decay_at: tuple[Annotated[float, Field(gt=0, le=100_000)], ...] = Field(
        (), description="epochs after which multistep decays"
    )

    class_weights: Literal["equal", "balanced"] = Field(
        "equal", description="balanced: images of rare classes weigh more in the loss, so that each class counts alike"
    )
    teacher: str = Field(
        "",
        description="a trained network that is imitated (distillation): folder of an ended training on the same "
        "classes, timm:NAME with the weights of timm's hub, or timm:NAME@FILE with those of a file",
    )
    teacher_labels: Literal["soft", "hard"] = Field(
        "soft", description="what is learnt of a teacher: its probabilities, or its most probable class alone"
    )
    teacher_weight: float = Field(0.5, gt=0, le=1, description="share of the loss that is the teacher's")
    teacher_temperature: float = Field(
        3.0, ge=0.1, le=100, description="of soft labels: above 1 the teacher's lesser classes tell more"
    )
    label_smoothing: Fraction = 0.0
    mixup: Amount = Field(0.0, description="alpha of the beta distribution")
    cutmix: Amount = Field(0.0, description="alpha of the beta distribution")
    drop_path: Fraction = Field(0.0, description="of the last block; grows linearly from 0 at the first")
    drop_path_grows: bool = Field(False, description="over the epochs too: linearly from 0 in the first")
    auxiliary: Amount = Field(
        0.0, description="weight of the loss of an auxiliary classifier, of networks of DARTS' space; DARTS' 0.4"
    )
    dropout: Fraction = Field(0.0, description="of what the network's last linear layer reads")
    ema_decay: Fraction = 0.0
    ema_warmup: bool = Field(False, description="start from a short average (timm's use_warmup)")

    scale: tuple[Area, Area] = Field((1.0, 1.0), description="area of the random resized crop")
    ratio: tuple[Proportion, Proportion] = Field(
        (1.0, 1.0), description="its width to its height; relative to the image's own, unless crop_mode is center"
    )
    pad: int = Field(
        0,
        ge=0,
        le=1024,
        description="pixels of the mean around the resized image before a crop at random takes its "
        "size back; instead of the resized crop",
    )
    cutout: int = Field(0, ge=0, le=4096, description="side of a square at random that is filled with the mean")
    repeats: int = Field(
        1, ge=1, le=64, description="times that an image appears in a batch, each augmented anew; fewer images an epoch"
    )
    hflip: Annotated[float, Field(ge=0, le=1)] = 0.0
    color_jitter: Amount = 0.0
    auto_augment: str = Field("", description="timm's configuration string, such as rand-m9-mstd0.5")
    frozen_norms: bool = Field(
        False, description="batch norms of the backbone keep their statistics: usual where a batch has few images"
    )
    augment: int = Field(
        0,
        ge=0,
        le=9,
        description="strength of random augmentation, short for auto_augment = rand-mSTRENGTH-inc1; recipes have 9",
    )
    interpolation: Literal["bilinear", "bicubic", "random"] = "bicubic"
    crop_mode: CropMode = Field(
        "squash",
        description="what becomes of images in other proportions than the network's: squeezed, padded (border) or cut "
        "to their middle (center); squeezing loses nothing",
    )
    crop_pct: float = Field(1.0, ge=0.1, le=1, description="share of each side that evaluation looks at")
    mean: Channels = Field((0.5, 0.5, 0.5), description="of pixels from 0 to 1: a value a channel, or one for all")
    std: Deviations = (0.5, 0.5, 0.5)

    threads: int = Field(
        1,
        ge=1,
        le=1024,
        description="of torch on the CPU; a setting, since sums depend on it. 1: on a machine that other "
        "programs use too, two were ten times slower (62 images/s against 574)",
    )
    amp: Literal["", "bfloat16", "float16"] = Field("", description="mixed precision, on a GPU only")
    channels_last: bool = Field(True, description="memory layout of images and convolutions")

    detection: DetectionTable = DetectionTable()
    segmentation: SegmentationTable = SegmentationTable()

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs must be less than epochs, got {self.warmup_epochs} and {self.epochs}; "
                "shorten the warm-up or train longer"
            )
        if self.warmup_epochs + self.cooldown_epochs >= self.epochs or (
            self.cooldown_epochs and self.schedule != "cosine"
        ):
            raise ValueError(
                f"cooldown_epochs follow a cosine within the epochs, got {self.cooldown_epochs} of {self.epochs} after "
                f"{self.warmup_epochs} of warm-up and the schedule {self.schedule}; shorten them"
            )
        if self.warmup_steps and self.warmup_epochs:
            raise ValueError(
                f"warmup_steps stand instead of warmup_epochs, got {self.warmup_steps} and {self.warmup_epochs}; "
                "drop one"
            )
        if (self.schedule == "multistep") != bool(self.decay_at):
            raise ValueError(
                f"multistep decays at the epochs of decay_at, got the schedule {self.schedule} and {self.decay_at}; "
                "give both or none"
            )
        if self.batch_size % self.repeats:
            raise ValueError(f"repeats must divide batch_size, got {self.repeats} and {self.batch_size}; change one")
        if self.pad and self.scale != (1.0, 1.0):
            raise ValueError(
                f"pad stands instead of the resized crop, got pad {self.pad} and scale {self.scale}; drop one"
            )
        if (self.mixup or self.cutmix) and self.batch_size % 2:
            raise ValueError(f"mixup and cutmix pair images: batch_size must be even, got {self.batch_size}")
        for name in ("scale", "ratio"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must be a range from low to high, got {low} and {high}; turn it round")
        if self.auto_augment and not AUGMENT.fullmatch(self.auto_augment):
            raise ValueError(
                f"auto_augment must be one of timm's strings, got {self.auto_augment!r:.60}; such as rand-m9-mstd0.5, "
                "augmix-m3-w3 or original"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _augments_once(self) -> Self:
        if self.augment and self.auto_augment:
            raise ValueError(
                f"augment is short for an auto_augment, got augment {self.augment} and auto_augment "
                f"{self.auto_augment!r}; drop one"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _fits_its_task(self) -> Self:
        if self.task not in WHOLE and not self.image_size:
            raise ValueError(f"{self.task} needs an image_size of its own, since its images have any size; set it")
        if self.task not in WHOLE and (self.auto_augment or self.repeats > 1):
            raise ValueError(
                f"auto_augment and repeats are for tasks on whole images, got the task {self.task}; drop them"
            )
        if self.task != "classification" and (self.mixup or self.cutmix or self.label_smoothing):
            raise ValueError(
                f"mixup, cutmix and label_smoothing are for classification, got the task {self.task}; drop them"
            )
        if self.task != "classification" and self.auxiliary:
            raise ValueError(f"an auxiliary classifier is for classification, got the task {self.task}; drop it")
        if self.task == "regression" and self.class_weights != "equal":
            raise ValueError("class_weights are for classes and tags, and regression has none; drop them")
        if self.task != "classification" and self.teacher:
            raise ValueError(
                f"a teacher is for classification, got the teacher {self.teacher!r:.60} and the task {self.task}; "
                "drop one"
            )
        return self

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The settings that need not be stated, as JSON has them."""
        fields = cls.model_fields
        whole = cls(epochs=1, batch_size=2, lr=1.0).model_dump(mode="json")
        return {name: value for name, value in whole.items() if not fields[name].is_required()}

    @property
    def augmentation(self) -> str:
        """Timm's string of `auto_augment` or `augment`; empty for none. Higher strengths change images more (inc1)."""
        return f"rand-m{self.augment}-inc1" if self.augment else self.auto_augment

    def replace(self, **changes: Any) -> Protocol:
        """The protocol with some settings changed, checked again; fewer epochs shorten the warm-up alike.

        Raises:
            TrainingError: a name or a value is wrong.
        """
        return _validated(_changed(self.model_dump(), changes), "the changed protocol")


def load_protocol(name: str | Path) -> Protocol:
    """Reads a built-in protocol by its name or one's own by its path.

    Raises:
        TrainingError: there is no such protocol, or a setting is wrong.
    """
    return _validated(_settings(str(name)), f"protocol {str(name)!r}")


def protocol_for(task: str | None, name: str | Path | None) -> Protocol:
    """The protocol of a name, or of a task the one of two cores and minutes.

    Raises:
        TrainingError: as `load_protocol`; also where the protocol is of another task than the one given.
    """
    if task is not None and task not in SMALL:
        raise TrainingError(f"there is no task {task!r:.60}; use one of {', '.join(SMALL)}")
    protocol = load_protocol(name or SMALL[task or "classification"])
    if task is not None and protocol.task != task:
        raise TrainingError(
            f"the protocol {str(name)!r:.200} is of {protocol.task} and the task is {task}: both must be equal; "
            f"leave one out, or use a protocol of {task}, such as {SMALL[task]}"
        )
    return protocol


def _settings(name: str, chain: tuple[str, ...] = ()) -> dict[str, Any]:
    path = _FOLDER / f"{name}.toml"
    try:
        path = path if path.is_file() else Path(name)
        if not path.is_file():
            known = sorted(p.stem for p in _FOLDER.glob("*.toml"))
            raise TrainingError(
                f"there is no protocol {name!r:.200}: give one of {', '.join(known)}, or the path of a TOML file"
                f"{nearest(str(name), known)}"
            )
        if path.stat().st_size > MOST_BYTES:
            raise TrainingError(f"protocol {name!r} has more than {MOST_BYTES:,} bytes; it is no protocol")
        settings = tomllib.loads(decoded(path.read_bytes()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise TrainingError(f"protocol {name!r:.200} is not TOML: {error}; fix the file") from error
    except OSError as error:
        raise TrainingError(f"protocol {name!r:.200} cannot be read ({error.strerror}); give another") from error
    base = settings.pop("base", None)
    if base is None:
        return settings
    if not isinstance(base, str) or base in chain:
        raise TrainingError(
            f"protocol {name!r} has the base {base!r}: it must name another protocol that does not start from this one"
        )
    return _changed(_settings(base, (*chain, name, base)), settings)


def _changed(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with some changed, those of tables one by one; fewer epochs shorten a warm-up that is not stated."""
    counts: tuple[Any, ...] = changes.get("epochs"), before.get("epochs"), before.get("warmup_epochs", 0)
    if all(isinstance(count, int) for count in counts) and "warmup_epochs" not in changes:
        epochs, planned, warmup = map(int, counts)
        if epochs < planned:
            before = {**before, "warmup_epochs": min(warmup * epochs // planned, max(epochs - 1, 0))}
    tables = {
        name: {**before[name], **value}
        for name, value in changes.items()
        if isinstance(value, Mapping) and isinstance(before.get(name), Mapping)
    }
    return {**before, **changes, **tables}


def _validated(settings: Mapping[str, Any], what: str) -> Protocol:
    protocol, mistakes = check(Protocol, settings, (), Path())
    if mistakes:
        raise TrainingError(f"{what} is wrong: {'; '.join(mistakes)}; the fields are listed in docs/training.md")
    return Protocol.model_validate(protocol)
