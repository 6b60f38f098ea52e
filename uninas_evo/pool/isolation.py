"""What keeps one candidate from the next: global state of the process is put back, whatever scoring did to it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_ALONE = threading.RLock()
"""What is put back belongs to the process: threads that search at the same time score in turn."""


@contextmanager
def isolated() -> Iterator[None]:
    """Puts back what scoring may have changed of the process, where one candidate is at a time.

    These are the global random generators, torch's gradient mode, default dtype, default device, threads and matrix
    precision, numpy's handling of errors, the working folder, the environment, the module search path, the recursion
    limit and the handlers of signals.

    Raises:
        OSError: the working folder is gone.
    """
    with _ALONE, ExitStack() as stack:
        path, environment, limit = list(sys.path), dict(os.environ), sys.getrecursionlimit()
        with contextlib.suppress(FileNotFoundError):  # it was gone before
            stack.callback(os.chdir, os.getcwd())
        stack.callback(sys.path.__setitem__, slice(None), path)
        stack.callback(_restore_environment, environment)
        stack.callback(sys.setrecursionlimit, limit)
        stack.callback(random.setstate, random.getstate())
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
                if (handler := signal.getsignal(number)) is not None:
                    stack.callback(signal.signal, number, handler)
        if "numpy" in sys.modules:
            import numpy as np

            stack.callback(np.random.set_state, np.random.get_state())
            errors: Any = np.geterr()
            stack.callback(lambda: np.seterr(**errors))
        if "torch" in sys.modules:
            _restore_torch(stack)
        else:
            stack.callback(_reset_torch, environment.get("OMP_NUM_THREADS"))
        yield


def _restore_environment(before: dict[str, str]) -> None:
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)


def _restore_torch(stack: ExitStack) -> None:
    import torch

    stack.callback(torch.set_rng_state, torch.get_rng_state())
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        stack.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
    stack.callback(torch.set_grad_enabled, torch.is_grad_enabled())
    stack.callback(torch.set_default_dtype, torch.get_default_dtype())
    stack.callback(torch.set_default_device, _default_device())
    stack.callback(torch.set_num_threads, torch.get_num_threads())
    stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())


def _reset_torch(threads: str | None) -> None:
    """What scoring imported first gets the state that it has when it is new."""
    if "torch" in sys.modules:
        import torch

        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.set_num_threads(int(threads or torch.get_num_threads()))
        torch.set_float32_matmul_precision("highest")


def _default_device() -> Any:
    """What `torch.set_default_device` was given; None where nothing was: a device costs every call a detour."""
    import torch

    device = torch.get_default_device()
    return None if device == torch.device("cpu") else device


def seeded_libraries() -> set[str]:
    """Those that are loaded, of the libraries with generators and settings of their own."""
    return {name for name in ("numpy", "torch") if name in sys.modules}


def seed_all(key: str) -> None:
    """Sets the global generators by a key: a user's function that draws from them is a function of genome and seed."""
    seed = int.from_bytes(hashlib.sha256(key.encode(errors="surrogatepass")).digest()[:4], "big")
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed(seed)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)
