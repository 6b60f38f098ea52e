"""From data to a trained network within a clock: what is checked and decided before it begins."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from uninas_evo.config.runfile import to_toml
from uninas_evo.errors import MissingExtraError, TrainingError
from uninas_evo.files import check_writable, claimed, write_text
from uninas_evo.pool.devices import memory_bytes
from uninas_evo.pool.open import device_names
from uninas_evo.progress import open_display
from uninas_evo.solving.plan import Plan, Speed, image_of, plan_for, protocol_for, skeletons
from uninas_evo.solving.solution import SOLUTION, Solution, read_table
from uninas_evo.solving.task import PROTOCOL, Task
from uninas_evo.spaces.uninas.vary import PARTS

PLAN = "plan.json"
"""The arguments, and what follows from them."""


def solve(
    data: str | Path,
    hours: float,
    *,
    max_params: float | None = None,
    max_flops: float | None = None,
    out: str | Path = "solved",
    protocol: str | Path = "small",
    vary: Sequence[str] = (),
    baseline: str | None = None,
    seed: int = 0,
    devices: Sequence[str] | None = None,
    quiet: bool = False,
) -> Solution:
    """Finds and trains the best network for a data set within a clock.

        solution = uninas_evo.solve("photos", hours=2, max_params=100e3)
        network = uninas_evo.load(solution.network)

    Looks at the data, picks skeleton and fidelities, trains scaled presets shortly, searches with `ladder` from the
    best of them, chooses among the finalists by fresh seeds, and trains the winner and the best preset for the same
    time. Called again with the same arguments it goes on where it was killed, with what is left of the clock.

    Args:
        data: what `uninas-evo train --data` takes.
        hours: of the clock, which begins when the checks of data and machine have passed.
        max_params: most parameters; a million by default.
        max_flops: most FLOPs of an image; as many as the time trains by default.
        out: folder for everything.
        protocol: of all trainings; its epochs are chosen.
        vary: parts of the skeleton that are searched too.
        baseline: a pretrained network that is fine-tuned for the same time as the winner: `timm:NAME` with the weights
            of timm's hub, or `timm:NAME@FILE`; none by default.
        seed: of all draws.
        devices: names of devices, one for each worker; every GPU, or every CPU core, by default.
        quiet: shows nothing.

    Raises:
        DataError: the data is wrong.
        TrainingError: there is too little time or memory, or the folder holds another task.
        BudgetError: no network fits the bounds.
        MissingExtraError: what training or ONNX needs is not installed.
        KeyboardInterrupt: it was interrupted; nothing is lost.
    """
    folder = Path(out)
    display = open_display(quiet)
    asked = arguments(data, hours, max_params, max_flops, protocol, vary, seed, baseline)
    _check(folder, hours, asked)
    with claimed(folder):
        done = folder / SOLUTION
        if done.is_file():
            return Solution(**read_table(done))
        places = list(devices or device_names("auto", 1))
        plan, places = _planned(folder, asked, places, display.say)
        return Task(folder, asked, plan, places, display).solution()


def arguments(
    data: str | Path,
    hours: float,
    max_params: float | None,
    max_flops: float | None,
    protocol: str | Path,
    vary: Sequence[str],
    seed: int,
    baseline: str | None = None,
) -> dict[str, Any]:
    """What a task is asked for, as its folder keeps it."""
    return {
        "data": str(Path(data).absolute()),
        "hours": hours,
        "max_params": max_params,
        "max_flops": max_flops,
        "protocol": str(protocol),
        "vary": list(vary),
        "seed": seed,
        "baseline": baseline,
    }


def write_plan(folder: Path, asked: Mapping[str, Any], plan: Plan) -> None:
    """Writes the plan of a task, its arguments, and its protocol."""
    write_text(folder / PROTOCOL, to_toml(plan.protocol))
    write_text(folder / PLAN, json.dumps({"asked": asked, "plan": plan.content()}, indent=1) + "\n")


def _check(folder: Path, hours: float, asked: Mapping[str, Any]) -> None:
    """What can be told at once.

    Raises:
        TrainingError: the hours are none, a part of the skeleton or the baseline does not exist, or the folder holds
            another task.
        MissingExtraError: a package is missing that is needed hours later.
    """
    if not 0 < hours < math.inf:
        raise TrainingError(f"hours are a number above 0, got {hours}; give --hours 1")
    if unknown := [part for part in asked["vary"] if part not in PARTS]:
        raise TrainingError(f"the skeleton has no part {unknown[0]!r} to vary; use {', '.join(PARTS)}")
    for package in ("timm", "onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ImportError:
            raise MissingExtraError(package, "train") from None
    if (folder / PLAN).is_file():
        before = read_table(folder / PLAN).get("asked", {})
        if changed := [name for name in asked if before.get(name) != asked[name]]:
            raise TrainingError(
                f"{folder} holds a task with other {', '.join(changed)}: it goes on with the same arguments alone "
                f"({changed[0]} was {before.get(changed[0])!r}); give them, or another --out"
            )
    if asked["baseline"]:
        from uninas_evo.training.outside import Outside

        Outside.parse(asked["baseline"])
    check_writable(folder / SOLUTION, TrainingError)


def _planned(
    folder: Path, asked: Mapping[str, Any], places: list[str], say: Callable[[str], None]
) -> tuple[Plan, list[str]]:
    """The plan of the folder, or a new one, with the devices that memory is enough for; tells it."""
    from uninas_evo.training.check import check
    from uninas_evo.training.protocol import load_protocol
    from uninas_evo.training.readers import read_splits

    if (folder / PLAN).is_file():
        plan = Plan(**read_table(folder / PLAN)["plan"])
        say("goes on where it stopped")
        return plan, places[: plan.workers]
    say("looking at the data and the machine")
    settings = load_protocol(asked["protocol"])
    splits = read_splits(asked["data"], settings.val_fraction)
    settings = protocol_for(settings, len(splits.train))
    splits = read_splits(asked["data"], settings.val_fraction)
    image = image_of(splits)
    check(splits, len(splits.classes), image[0])
    speed = _speed(splits, settings, image, places[0])
    places = places[: _affordable_workers(speed.memory_bytes, len(places), memory_bytes(), places[0])]
    plan = plan_for(splits, settings, speed, asked["hours"], len(places), asked["max_params"], asked["max_flops"])
    write_plan(folder, asked, plan)
    for line in (*splits.notes, *plan.lines):
        say(line)
    return plan, places


def _speed(splits: Any, settings: Any, image: tuple[int, int, int], device: str) -> Speed:
    from uninas_evo.solving.speed import measure
    from uninas_evo.threads import fixed_threads

    with fixed_threads(1):
        return measure(splits, settings, next(skeletons(image, len(splits.classes), 0)), device)


def _affordable_workers(worker_bytes: int, wanted: int, memory: int, device: str) -> int:
    """How many workers the machine's memory is enough for, this process beside them.

    Raises:
        TrainingError: for none.
    """
    if device != "cpu":
        return wanted
    count = min(wanted, int(0.9 * memory / max(worker_bytes, 1)) - 1)
    if count < 1:
        raise TrainingError(
            f"the machine has {memory / 1e9:.1f} GB of memory and training needs {2 * worker_bytes / 1e9:.1f} GB here: "
            "a worker and the program itself; free memory, or use a larger machine"
        )
    return count
