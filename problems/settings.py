"""Settings of the training as decisions: which there are, and the space that has them beside networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from uninas_evo.contracts import Scorer, Space
from uninas_evo.errors import ObjectiveError, SpaceError
from uninas_evo.mistakes import annotated, members, nearest
from uninas_evo.scoring.function import FunctionScorer
from uninas_evo.scoring.training import TrainScorer
from uninas_evo.spaces.choices.own import Real, Table, Whole
from uninas_evo.spaces.joint import JointSpace

DECIDABLE = (
    "optimizer",
    "lr",
    "weight_decay",
    "batch_size",
    "clip_grad",
    "schedule",
    "warmup_lr",
    "min_lr",
    "decay_rate",
    "class_weights",
    "label_smoothing",
    "mixup",
    "cutmix",
    "drop_path",
    "dropout",
    "ema_decay",
    "augment",
    "auto_augment",
    "color_jitter",
    "hflip",
    "pad",
    "cutout",
    "repeats",
)
"""Settings of a protocol that a genome may decide: not how long is trained, on what, or how it is measured."""


def check_training(table: Table) -> None:
    """Checks that settings exist and take the values that are to be chosen among.

    Raises:
        SpaceError: they do not.
    """
    from uninas_evo.training.protocol import Protocol

    for name, given in table.items():
        if name not in DECIDABLE:
            raise SpaceError(
                f"a genome may decide {', '.join(DECIDABLE)} of its training, got {name!r}{nearest(name, DECIDABLE)}"
            )
        field = Protocol.model_fields[name]
        if isinstance(given, Real) and float not in members(field.annotation):
            raise SpaceError(f"the setting {name!r} takes whole numbers, got {given}; use Whole, or whole = true")
        for value in (given.low, given.high) if isinstance(given, Whole | Real) else given:
            try:
                TypeAdapter(annotated(field)).validate_python(value)
            except ValidationError as error:
                rule = error.errors()[0]["msg"].removeprefix("Input ")
                raise SpaceError(f"the setting {name!r} of a training {rule}, got {value!r}; change it") from None


def with_training(space: Space[Any], table: Table, scorers: Sequence[Scorer]) -> Space[Any]:
    """The space whose genomes decide these settings, too; walks begin at the values of the scorers' protocol.

    Args:
        space: of the networks.
        table: for each setting its values.
        scorers: one of them must train, or be a function of the user's own.

    Raises:
        ObjectiveError: no scorer looks at the settings.
        SpaceError: a setting is wrong.
    """
    check_training(table)
    trains = [one for one in scorers if isinstance(one, TrainScorer)]
    if not trains and not any(isinstance(one, FunctionScorer) for one in scorers):
        raise ObjectiveError(
            f"settings of the training are decided ({', '.join(table)}), and no objective trains; use the objective "
            "train, or a function of your own"
        )
    start = trains[0].schedules[-1].protocol.model_dump() if trains else {}
    return JointSpace(space, table, start)
