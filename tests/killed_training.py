"""A ladder of short trainings that is killed inside one: `python killed_training.py FOLDER DATA PROTOCOL LOOK`.

The process ends by `kill -9` at the given look at a training's loss; 0 lets it go on to its end. Children inherit
weights.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from uninas_evo.config.runfile import AfterOptions
from uninas_evo.engine.journal import FILE_NAME
from uninas_evo.engine.search import Plan, execute
from uninas_evo.pool.open import PoolOptions
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.scoring.training import Curve
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.strategies.ladder import Ladder

EVALUATIONS = 10


def run(folder: Path, data: str, protocol: str) -> None:
    """Starts or continues the search, in this process."""
    start = preset("resnet", Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(32,), depths=(1,)))
    train = {"data": data, "protocol": protocol, "fidelities": [{"epochs": 1}, {"epochs": 2}]}
    problem = UninasProblem(UninasSpace(start), ["train"], proxies={"train": train})
    strategy = Ladder(problem.space, problem.objectives, seed=0, fidelities=2, inherit=True, starts=3, best=3)
    pool, after = PoolOptions(devices="in-process"), AfterOptions(rescore=0, plot=False)
    plan = Plan(problem, strategy, 0, EVALUATIONS, None, pool, after, {})
    execute(plan, folder, resume=(folder / FILE_NAME).exists())


def main(folder: str, data: str, protocol: str, look: str) -> None:
    """Counts the looks and dies at one."""
    left, told = int(look), Curve.look

    def counted(curve: Curve, line: Mapping[str, float]) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        told(curve, line)

    Curve.look = counted  # type: ignore[method-assign]
    run(Path(folder), data, protocol)


if __name__ == "__main__":
    main(*sys.argv[1:])
