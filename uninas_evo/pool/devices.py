"""What this machine has: cores, GPUs, memory, and the environment that a worker on one of them gets."""

from __future__ import annotations

import os
import resource

from uninas_evo.errors import PoolError


def cpu_count() -> int:
    """CPU cores that this process may use (affinity and container limits counted)."""
    from joblib.externals.loky import cpu_count as usable

    return int(usable())


def cuda_devices() -> list[str]:
    """The CUDA devices of this machine; torch is imported only where the driver is there."""
    if not os.path.exists("/proc/driver/nvidia/version") and not os.path.exists("/dev/nvidiactl"):
        return []
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def memory_bytes() -> int:
    """Memory of this machine, or of the container that it is limited to."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = file.read().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def environment(device: str, threads: int) -> dict[str, str]:
    """Environment of a worker: what it sees of the devices, and constants that a result can depend on.

    Raises:
        PoolError: CUDA_VISIBLE_DEVICES leaves no device of this number.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    env = dict.fromkeys(names, str(threads))
    env["PYTHONHASHSEED"] = "0"
    env["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # deterministic matrix products on a GPU
    kind, _, number = device.partition(":")
    if kind == "cuda":
        visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        if visible and int(number or 0) >= len(visible):
            raise PoolError(
                f"there is no device {device!r}: CUDA_VISIBLE_DEVICES={','.join(visible)} leaves {len(visible)}, "
                f"counted from cuda:0; choose one of these with pool.devices, or show more devices"
            )
        env["CUDA_VISIBLE_DEVICES"] = visible[int(number or 0)] if visible else (number or "0")
    else:
        env["CUDA_VISIBLE_DEVICES"] = ""
    return env


FILES_OF_A_WORKER = 16
"""Files, pipes and semaphores that this process holds open for one worker."""


def allow_files(workers: int) -> None:
    """Lets this process open what so many workers need, as far as the system allows.

    Raises:
        PoolError: it allows fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 64 + FILES_OF_A_WORKER * workers
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise PoolError(
            f"{workers} workers need {needed} open files, and this shell allows {hard}; raise it with `ulimit -n "
            f"{needed}`, or take fewer devices"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
