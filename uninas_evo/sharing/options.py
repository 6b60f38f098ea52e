"""How shared weights are trained and scored with: the `[problem.supernet]` table of a run file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SAMPLERS = ("uniform", "fair", "sandwich", "progressive")
"""Learners without a policy: they prefer no genome."""


class SupernetOptions(BaseModel):
    """The `[problem.supernet]` table: how shared weights are trained and scored with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str = Field(description="a data set, as `uninas-evo train` takes it")
    learner: str = Field(
        "uniform",
        description="uniform, fair, sandwich, progressive, darts, gumbel, gdas, proxyless, unas or enas",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="settings of the learner")
    network: dict[str, Any] = Field(default_factory=dict, description="settings of the supernet, such as channels")
    stages: list[dict[str, Any]] = Field(
        default_factory=lambda: [dict[str, Any]()],
        min_length=1,
        description="settings of the supernet in equal parts of the steps, beside network; each part begins with fresh "
        "weights; P-DARTS' [{ cells = 5 }, { cells = 11 }, { cells = 17 }]",
    )
    image: int = Field(0, ge=0, description="pixels of a side that images are brought to; 0: the space's")
    images: int = Field(0, ge=0, description="training images that are used; 0 for all")
    steps: int = Field(3000, ge=1, description="weight steps")
    batch_size: int = Field(128, ge=2, description="images a step")
    optimizer: Literal["sgd", "adam"] = Field(
        "sgd", description="of the weights; UNAS has Adam at 6e-4, falling to 1e-4"
    )
    lr: float = Field(0.025, gt=0, description="of the optimizer, falling to min_lr by a cosine; DARTS' 0.025")
    min_lr: float = Field(0.001, ge=0, description="at the last step; DARTS' 0.001")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    nesterov: bool = Field(False, description="of SGD")
    weight_decay: float = Field(3e-4, ge=0, description="of the weights; DARTS' 3e-4")
    clip_grad: float = Field(5.0, ge=0, description="greatest norm of the gradient; DARTS' 5; 0 for none")
    mirror: bool = Field(True, description="flip training images left to right at random")
    report: int = Field(50, ge=1, description="steps between two lines of a policy's diagnostics")
    score_images: int = Field(1000, ge=1, description="validation images that a genome is scored on")
    recalibrate: int = Field(2000, ge=1, description="training images that set a genome's norms; 2,000 as in the text")
