"""What inherited weights are worth: children after an epoch from their parent's weights, and after one from scratch.

Prints the tables of docs/inherited.md: accuracy after one epoch, paired, by kind of edit; how both rank the children by
the accuracy of longer trainings from scratch; and what a lineage gains without any change, the bias toward old ones.

    python tests/benchmarks/inheritance.py --data /usr/share/datasets/fashion-mnist --images 2000 --children 4
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable

import numpy as np
import torch
from conditions import conditions

from uninas_evo.contracts import Ancestor, Budget
from uninas_evo.scoring.subject import GenomeSubject
from uninas_evo.scoring.training import TrainScorer
from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset
from uninas_evo.stats.ranks import kendall

CHEAP, PARENT, TRUTH = range(3)
"""Schedules: an epoch; what a parent was trained for; what children are ranked by."""


def kinds(space: UninasSpace, parent: Genome) -> dict[str, Callable[[random.Random], Genome | None]]:
    """Edits by name, each a function of a generator; None where it finds none of its kind."""

    def stepped(rng: random.Random, grows: bool) -> Genome | None:
        child = space.mutate(parent, rng)
        return child if child is not None and (len(child) > len(parent)) == grows else None

    own = space.variations()
    return {
        "node added": lambda rng: stepped(rng, True),
        "node removed": lambda rng: stepped(rng, False),
        "motif": lambda rng: own["motif"](parent, rng),
        "substitution": lambda rng: own["substitution"](parent, rng),
        "skeleton": lambda rng: own["skeleton"](parent, rng),
    }


def drawn(make: Callable[[random.Random], Genome | None], count: int) -> list[Genome]:
    """Distinct children."""
    rng, found = random.Random(0), dict[Genome, None]()
    for _ in range(1000):
        child = make(rng)
        if child is not None:
            found[child] = None
        if len(found) == count:
            break
    return list(found)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--children", type=int, default=4, help="of each kind of edit")
    parser.add_argument("--generations", type=int, default=4)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--protocol", default="small")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(conditions(), flush=True)
    start = preset("efficientnet", Skeleton(32, options.classes, (8, 16), (24, 64), (1, 1)))
    free = Budget(max_params=int(1.5 * start.params), max_flops=1.5 * start.flops)
    space = UninasSpace(start, free, vary=("width", "depth"))
    epochs = [{"epochs": count, "images": options.images} for count in (1, 2, 4)]
    scorer = TrainScorer(data=options.data, protocol=options.protocol, fidelities=epochs)
    scorer.make_ready(space, 0, None, "cpu", lambda _: None)

    def reached(genome: Genome, fidelity: int, lineage: tuple[Ancestor, ...] = ()) -> float:
        return 100 * scorer.score(GenomeSubject(genome, space, 0, fidelity, lineage), "cpu")["train"]

    parent = (Ancestor(start, PARENT),)
    print(f"parent: {reached(start, PARENT):.1f} % after two epochs of {options.images} images", flush=True)
    everything = []
    print("| edit | children | from scratch | inherited | difference |\n|---|--:|--:|--:|--:|", flush=True)
    for kind, make in kinds(space, start).items():
        rows = np.array(
            [
                (reached(one, CHEAP), reached(one, CHEAP, parent), reached(one, TRUTH))
                for one in drawn(make, options.children)
            ]
        )
        scratch, inherited, _ = rows.mean(0)
        gain = rows[:, 1] - rows[:, 0]
        spread = f"{gain.mean():+.1f} ± {gain.std(ddof=1):.1f}"
        print(f"| {kind} | {len(rows)} | {scratch:.1f} % | {inherited:.1f} % | {spread} |", flush=True)
        everything += list(rows)
    all_rows = np.array(everything)
    for name, column in (("from scratch", 0), ("inherited", 1)):
        tau = kendall(all_rows[:, column], all_rows[:, 2])
        print(f"tau of {name} with four epochs from scratch, {len(all_rows)} children: {tau:.2f}", flush=True)
    lineage: tuple[Ancestor, ...] = ()
    values = []
    for _ in range(options.generations + 1):
        values.append(reached(start, CHEAP, lineage))
        lineage = (*lineage, Ancestor(start, CHEAP))
    print("the parent again and again, an epoch a generation: " + ", ".join(f"{value:.1f} %" for value in values))


if __name__ == "__main__":
    main()
