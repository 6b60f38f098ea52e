"""The macro space as a problem: stages of layers, times any scorer."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, field_validator

from uninas_evo.devices import costed
from uninas_evo.mistakes import nearest
from uninas_evo.problems.options import Listed, MacsCosts, scoring
from uninas_evo.problems.search import SearchProblem
from uninas_evo.spaces.stages.presets import PRESETS
from uninas_evo.spaces.stages.space import StagesSpace


class StagesOptions(MacsCosts):
    """The `[problem]` table of a run file for the macro space."""

    images: list[int] = Field([32], description="pixels of a side to choose among; multiples of 16")
    classes: int = Field(10, ge=1, description="of the data")
    channels: int = Field(3, ge=1, description="of the images")
    only: dict[str, list[Listed]] = Field(
        default_factory=dict,
        description="the values that are left of choices, those of a stage without its number: "
        '`{kind = ["inverted"], stages = [3, 4, 5]}`',
    )
    start: str | dict[str, Any] = Field(
        "", description="where walks begin: a preset such as mobilenet_v2, or its choices; unset: nowhere"
    )

    @field_validator("start")
    @classmethod
    def _preset(cls, start: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(start, str) and start and start not in PRESETS:
            raise ValueError(f"a start is one of {', '.join(PRESETS)}, or a table of choices{nearest(start, PRESETS)}")
        return start


class StagesProblem(SearchProblem):
    """Scores genomes of the macro space."""

    Options = StagesOptions
    space: StagesSpace

    @classmethod
    def from_options(cls, options: StagesOptions, seed: int) -> Self:
        """The problem of a run file's `[problem]` table."""
        start = options.start
        if isinstance(start, str) and start:
            start = {**PRESETS[start], "image": max(options.images)}
        whole = StagesSpace(options.images, options.classes, options.channels, only=options.only, start=start or None)
        space = costed(whole, options.costs, options.budget.budget(), keep_start=True)
        return cls(space, options.objectives, seed=seed, **scoring(options))
