"""One search for each seed, each a Slurm job of its own, through submitit.

    python examples/submitit_seeds.py runs/vkdnw.toml --out searches --seeds 8 --partition gpu --gpus 1
    python examples/submitit_seeds.py runs/vkdnw.toml --out searches --seeds 2 --local

A job that Slurm ends for its time, or for a job that is worth more, is queued again and goes on from its journal.
`--local` starts the jobs as processes of this machine, to try it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import submitit
from submitit.helpers import Checkpointable


class Search(Checkpointable):
    """A search in a job; submitit calls it again with the same arguments after an interruption."""

    def __call__(self, file: Path, out: Path, seed: int, changes: list[str]) -> float:
        """Starts the search, or goes on with it, and gives the winner's value."""
        begin = ["resume", out] if out.exists() else ["run", file, "--out", out, "--set", f"seed={seed}"]
        words = [*begin, "--quiet", *(word for change in changes for word in ("--set", change))]
        subprocess.run([sys.executable, "-m", "uninas_evo", *map(str, words)], check=True)
        summary = json.loads((out / "summary.json").read_text())
        return float(next(iter(summary["best"][0]["values"].values())))


def main() -> None:
    """Submits a job for each seed and prints what each found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the run file")
    parser.add_argument("--out", type=Path, required=True, help="holds a run folder for each seed")
    parser.add_argument("--seeds", type=int, default=2, help="how many searches")
    parser.add_argument("--partition", help="Slurm's partition")
    parser.add_argument("--gpus", type=int, default=0, help="of each job")
    parser.add_argument("--minutes", type=int, default=24 * 60, help="of each job")
    parser.add_argument("--local", action="store_true", help="processes of this machine in the place of jobs")
    parser.add_argument("--set", action="append", default=[], help="changes of the run file, as `uninas-evo run` has")
    arguments = parser.parse_args()
    executor = submitit.AutoExecutor(arguments.out / "jobs", cluster="local" if arguments.local else "slurm")
    executor.update_parameters(
        timeout_min=arguments.minutes, gpus_per_node=arguments.gpus, slurm_partition=arguments.partition
    )
    file, out = arguments.file.resolve(), arguments.out.resolve()
    jobs = [
        executor.submit(Search(), file, out / f"seed-{seed}", seed, arguments.set) for seed in range(arguments.seeds)
    ]
    for seed, job in enumerate(jobs):
        print(f"seed {seed}: {job.result():g} in {out / f'seed-{seed}'}", flush=True)


if __name__ == "__main__":
    main()
