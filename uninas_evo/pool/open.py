"""Workers that score genomes: one process per device, a Dask cluster, or the calling process itself.

A pool takes jobs while it has idle workers and gives each back done, in whatever order they end::

    with open_pool(PoolOptions(devices={"cpu": 2}), problem) as pool:
        pool.submit(Job(0, text))
        done = pool.wait(timeout_s=1.0)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    ValidationError,
    field_validator,
)

from uninas_evo.contracts import Problem, Progress
from uninas_evo.errors import RunFileError
from uninas_evo.pool import devices
from uninas_evo.pool.contract import Pool
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.sources import hashes
from uninas_evo.threads import fixed_threads

MOST_WORKERS = 4096
"""Workers of one machine, and threads of one worker: more than any machine has cores."""


class CpuWorkers(BaseModel):
    """A number of CPU workers: `devices = {cpu = 2}`."""

    model_config = ConfigDict(extra="forbid")
    cpu: PositiveInt = Field(le=MOST_WORKERS, description="number of worker processes on the CPU")


class DaskCluster(BaseModel):
    """A Dask cluster: `devices = {dask = "tcp://10.0.0.1:8786"}`."""

    model_config = ConfigDict(extra="forbid")
    dask: str = Field(description="address of the scheduler")


_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")
Devices = Annotated[list[str], Field(min_length=1, max_length=MOST_WORKERS)]
"""Names of devices as torch knows them, one for each worker."""


def _form(devices: Any) -> str:
    """Which form was written, so that mistakes are told of this one alone."""
    if isinstance(devices, list):
        return "list"
    if isinstance(devices, DaskCluster) or (isinstance(devices, Mapping) and "dask" in devices):
        return "DaskCluster"
    return "CpuWorkers" if isinstance(devices, CpuWorkers | Mapping) else "Literal"


class PoolOptions(BaseModel):
    """The `[pool]` table: where candidates are scored, and what one may take."""

    model_config = ConfigDict(extra="forbid")

    devices: Annotated[
        Annotated[Literal["auto", "in-process"], Tag("Literal")]
        | Annotated[Devices, Tag("list")]
        | Annotated[CpuWorkers, Tag("CpuWorkers")]
        | Annotated[DaskCluster, Tag("DaskCluster")],
        Discriminator(_form),
    ] = Field(
        "auto",
        description='"auto": every GPU, or every CPU core where there is none; a list such as '
        '["cuda:0", "cuda:1"], a device named twice gets two workers; {cpu = 2}; {dask = "tcp://..."}; '
        '"in-process": no workers, for debugging',
    )

    @field_validator("devices", mode="before")
    @classmethod
    def _are_devices(cls, devices: Any) -> Any:
        """Names of torch, in a list."""
        if isinstance(devices, str) and _DEVICE.fullmatch(devices):
            raise ValueError(f'a device stands in a list: write devices = ["{devices}"]')
        for one in devices if isinstance(devices, list) else ():
            if not (isinstance(one, str) and _DEVICE.fullmatch(one)):
                raise ValueError(f'a device is "cpu", "cuda", "cuda:1" or "mps", as torch calls it, got {one!r}')
        return devices

    threads: PositiveInt = Field(
        1,
        le=MOST_WORKERS,
        description="threads of each worker; a constant of the run, since a sum's last digits depend on it",
    )
    time_limit_s: float | None = Field(
        None, gt=0, description="what scoring one candidate may take in seconds; it fails beyond"
    )
    memory_limit_gb: float | None = Field(
        None,
        gt=0,
        description="what scoring one candidate on the CPU may allocate in GB; it fails beyond; "
        "unset: nine tenths of the machine, divided among the workers",
    )


def open_pool(options: PoolOptions, problem: Problem, sources: Mapping[str, str] | None = None) -> Pool:
    """Starts the workers that the options name.

    Args:
        options: the `[pool]` table.
        problem: what is scored.
        sources: the user's files that scoring runs, with their SHA-256; by default as they are now.

    Raises:
        SourceError: a worker finds another version of them.
        PoolError: a worker cannot be started, or the cluster does not answer.
        MissingExtraError: Dask is asked for and not installed.
    """
    wanted = options.devices
    sources = hashes(problem.sources) if sources is None else sources
    if wanted == "in-process":
        return InProcessPool(problem, threads=options.threads, sources=sources)
    if isinstance(wanted, DaskCluster):
        from uninas_evo.pool.dask import DaskPool

        return DaskPool(
            problem,
            wanted.dask,
            threads=options.threads,
            time_limit_s=options.time_limit_s,
            memory_limit_bytes=None if options.memory_limit_gb is None else int(options.memory_limit_gb * 1e9),
            sources=sources,
        )
    from uninas_evo.pool.processes import ProcessPool

    names = device_names(wanted, options.threads)
    return ProcessPool(
        problem,
        names,
        threads=options.threads,
        time_limit_s=options.time_limit_s,
        memory_limit_bytes=memory_limit_bytes(options, len(names)),
        sources=sources,
    )


def make_ready(options: PoolOptions, problem: Problem, folder: Path | None, progress: Progress) -> None:
    """Has a problem make what its evaluations share, once and here, on the first worker's device and threads."""
    wanted = options.devices
    device = "cpu"
    if wanted != "in-process" and not isinstance(wanted, DaskCluster):
        device = device_names(wanted, options.threads)[0]
    with fixed_threads(options.threads):
        problem.make_ready(folder, device, progress)


def memory_limit_bytes(options: PoolOptions, workers: int) -> int:
    """What scoring one candidate on the CPU may allocate where several workers share this machine."""
    if options.memory_limit_gb is not None:
        return int(options.memory_limit_gb * 1e9)
    return int(0.9 * devices.memory_bytes() / workers)


def pool_on(device: str, threads: int) -> PoolOptions:
    """A pool of one worker on a device that a user named.

    Raises:
        RunFileError: there is no such device.
    """
    try:
        return PoolOptions(devices=[device], threads=threads)
    except ValidationError:
        raise RunFileError(f"there is no device {device!r}; use cpu, cuda or cuda:1") from None


def device_names(wanted: str | list[str] | CpuWorkers, threads: int) -> list[str]:
    """A device for each worker."""
    if isinstance(wanted, CpuWorkers):
        return ["cpu"] * wanted.cpu
    if isinstance(wanted, list):
        return wanted
    return devices.cuda_devices() or ["cpu"] * max(1, devices.cpu_count() // threads)
