"""The tables of a protocol that one task alone reads: `[detection]` and `[segmentation]`."""

from __future__ import annotations

from typing import Annotated, Self

import pydantic
from pydantic import Field

Width = Annotated[int, Field(ge=8, le=4096)]
Pixels = Annotated[int, Field(ge=16, le=8192)]


class DetectionTable(pydantic.BaseModel):
    """Mask R-CNN on a network's stage maps; names and meanings are torchvision's where it has them."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    masks: bool = Field(True, description="learn masks too, where every object of the data has one")
    leave_out_empty: bool = Field(
        False, description="objects whose box has no area are left out and counted, instead of refused"
    )
    sizes: tuple[Pixels, ...] = Field(
        (), description="shorter sides of which each training image draws one; empty: the protocol's image_size"
    )
    max_size: Pixels = Field(1333, description="longest side of a resized image")
    width: Width = Field(256, description="channels of the feature pyramid and of the mask head")
    hidden: Width = Field(1024, description="values of the box head's two layers")
    anchor: float = Field(8.0, gt=0, le=64, description="sides of a level's anchors, in strides of its map")
    anchors_sampled: int = Field(256, ge=2, le=10_000, description="anchors of an image that the proposals learn from")
    proposals: int = Field(1000, ge=1, le=10_000, description="kept of an image after suppression, for the heads")
    proposals_sampled: int = Field(512, ge=2, le=10_000, description="proposals of an image that the heads learn from")
    found: int = Field(100, ge=1, le=10_000, description="objects of an image that are kept at most")
    score: float = Field(0.05, ge=0, lt=1, description="least score of an object that is kept")


class SegmentationTable(pydantic.BaseModel):
    """UperNet on a network's stage maps, and how masks are read."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    width: Width = Field(256, description="channels of the decoder; a multiple of 16, which share a norm")
    resize: tuple[float, float] = Field(
        (1.0, 1.0), description="range of a training image's shorter side in image_size, before a crop of that size"
    )
    ignore: int = Field(255, ge=0, le=255, description="label of pixels that neither learn nor count")
    reduce_zero_label: bool = Field(
        False, description="label 0 is no class, as in ADE20K: it is ignored, and 1..K become 0..K-1"
    )

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        low, high = self.resize
        if not 0.1 <= low <= high <= 10:
            raise ValueError(f"resize must be a range from low to high within 0.1 to 10, got {low} and {high}")
        if self.width % 16:
            raise ValueError(f"width must be a multiple of 16, got {self.width}")
        return self
