"""The `[train]` table of a run file: how winners are trained when the search is over."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from uninas_evo.training.protocol import TaskName


class TrainOptions(BaseModel):
    """What is trained against what, all with the same protocol and seeds."""

    model_config = ConfigDict(extra="forbid")

    data: str = Field(
        description="a folder with train/ and val/, one with labels.csv or IDX files, or an .npz file; for detection a "
        "COCO or VOC folder, for segmentation one of images/ and annotations/"
    )
    task: TaskName | None = Field(None, description="what the networks are trained for; unset: the protocol's task")
    protocol: str | None = Field(
        None, description="imagenet, small, coco, ade20k, ..., or the path of a TOML file; unset: the task's small one"
    )
    top: PositiveInt = Field(1, description="how many of the search's best genomes are trained")
    start: bool = Field(
        True, description="also the network that the search began with: what the search added is its lead over this one"
    )
    presets: list[Literal["resnet", "efficientnet", "vit", "coatnet"]] = Field(
        ["resnet", "efficientnet", "vit", "coatnet"],
        description="hand-crafted networks, their widths scaled to the same budget; all by default, since the best "
        "of them differs from budget to budget",
    )
    random: NonNegativeInt = Field(
        2, description="random networks of the winner's size: the least that a search must beat"
    )
    baseline: str = Field(
        "",
        description="a pretrained network that is fine-tuned beside them: timm:NAME with the weights of timm's hub, or "
        "timm:NAME@FILE with those of a file; unset: none",
    )
    threads: PositiveInt | None = Field(None, description="of torch on the CPU; unset: the protocol's, which is 1")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="settings of the protocol that are changed, such as `{epochs = 30}`"
    )
    seeds: PositiveInt = Field(1, description="trainings of each network; 3 or more show how much luck there is")
    device: str = Field("auto", description="cpu, cuda, cuda:1, or auto: a GPU where there is one")
    workers: NonNegativeInt = Field(0, description="processes that read images ahead; 8 are usual beside a GPU")
