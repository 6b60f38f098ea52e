"""One search whose candidates are scored by the jobs of a Slurm cluster, through dask-jobqueue.

    python examples/slurm_dask.py runs/vkdnw.toml --out first --jobs 8 --queue gpu --gres gpu:1
    python examples/slurm_dask.py runs/vkdnw.toml --out first --local

The search itself runs where this script runs, and its folder lies there. Each job is one worker. Started again with the
same folder, it goes on. `--local` starts the jobs as two processes of this machine, to try it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from dask_jobqueue import SLURMCluster
from dask_jobqueue.local import LocalCluster


def cluster(arguments: argparse.Namespace) -> Any:
    """The scheduler of a cluster whose jobs have one worker each."""
    job: dict[str, Any] = {"cores": 1, "processes": 1, "memory": arguments.memory}
    if arguments.local:
        return LocalCluster(**job)
    gres = [f"--gres={arguments.gres}"] if arguments.gres else []
    return SLURMCluster(**job, queue=arguments.queue, walltime=arguments.walltime, job_extra_directives=gres)


def main() -> int:
    """Starts the workers, then the search, or goes on with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the run file")
    parser.add_argument("--out", type=Path, required=True, help="the run folder")
    parser.add_argument("--jobs", type=int, default=2, help="Slurm jobs, each one worker")
    parser.add_argument("--queue", help="the partition")
    parser.add_argument("--gres", help="what each job asks for, such as gpu:1")
    parser.add_argument("--memory", default="8GB", help="of each job")
    parser.add_argument("--walltime", default="24:00:00", help="of each job")
    parser.add_argument("--local", action="store_true", help="processes of this machine in the place of jobs")
    parser.add_argument("--set", action="append", default=[], help="changes of the run file, as `uninas-evo run` has")
    arguments = parser.parse_args()
    with cluster(arguments) as workers:
        workers.scale(jobs=arguments.jobs)
        workers.wait_for_workers(arguments.jobs)
        begin = ["resume", arguments.out] if arguments.out.exists() else ["run", arguments.file, "--out", arguments.out]
        changes = [f'pool.devices={{dask = "{workers.scheduler_address}"}}', *arguments.set]
        words = [*begin, *(word for change in changes for word in ("--set", change))]
        return subprocess.run([sys.executable, "-m", "uninas_evo", *map(str, words)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
