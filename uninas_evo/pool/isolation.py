"""What keeps one candidate from the next: global state of the process is put back, whatever scoring did to it."""

from __future__ import annotations

import contextlib
import decimal
import gc
import hashlib
import locale
import logging
import os
import random
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_ALONE = threading.RLock()
"""What is put back belongs to the process: threads that search at the same time score in turn."""


@contextmanager
def isolated() -> Iterator[None]:
    """Puts back what scoring may have changed of the process, where one candidate is at a time.

    These are the global random generators; torch's gradient mode, default dtype and device, threads, matrix precision,
    autocast, deterministic algorithms, anomaly mode and denormal numbers; numpy's handling of errors; the decimal
    context, the locale, warnings, logging and garbage collection; the working folder, the environment, the module
    search path, the recursion limit, the standard streams, the mask of new files, and handlers and timers of signals.

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
        _restore_python(stack)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
                if (handler := signal.getsignal(number)) is not None:
                    stack.callback(signal.signal, number, handler)
            if not signal.getitimer(signal.ITIMER_REAL)[0]:  # one that is running goes on
                stack.callback(signal.setitimer, signal.ITIMER_REAL, 0)
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


def _restore_python(stack: ExitStack) -> None:
    """Settings of the interpreter and its standard library that change numbers, or what is told of them."""
    stack.callback(decimal.setcontext, decimal.getcontext().copy())
    stack.callback(locale.setlocale, locale.LC_ALL, locale.setlocale(locale.LC_ALL))
    stack.callback(logging.disable, logging.root.manager.disable)
    stack.callback(socket.setdefaulttimeout, socket.getdefaulttimeout())
    stack.callback(gc.enable if gc.isenabled() else gc.disable)
    stack.callback(sys.settrace, sys.gettrace())
    stack.callback(sys.setprofile, sys.getprofile())
    stack.callback(_restore_warnings, list(warnings.filters))
    for name in ("stdin", "stdout", "stderr"):
        stack.callback(setattr, sys, name, getattr(sys, name))
    mask = os.umask(0o077)
    os.umask(mask)
    stack.callback(os.umask, mask)


def _restore_warnings(before: list[Any]) -> None:
    """Only where they were changed: else what is shown once would be shown again."""
    if list(warnings.filters) != before:
        warnings.resetwarnings()
        warnings.filters[:] = before  # type: ignore[index]


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
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    stack.callback(torch.use_deterministic_algorithms, torch.are_deterministic_algorithms_enabled(), warn_only=warn)
    stack.callback(torch.autograd.set_detect_anomaly, torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled())
    for device in ("cpu", "cuda"):
        stack.callback(torch.set_autocast_enabled, device, torch.is_autocast_enabled(device))
        stack.callback(torch.set_autocast_dtype, device, torch.get_autocast_dtype(device))
    for name in ("enabled", "benchmark", "deterministic"):
        stack.callback(setattr, torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))
    stack.callback(torch.set_flush_denormal, _flushes_denormal())


def _reset_torch(threads: str | None) -> None:
    """What scoring imported first gets the state that it has when it is new."""
    if "torch" in sys.modules:
        import torch

        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.set_num_threads(int(threads or torch.get_num_threads()))
        torch.set_float32_matmul_precision("highest")
        torch.use_deterministic_algorithms(False)
        torch.autograd.set_detect_anomaly(False)
        torch.set_autocast_enabled("cpu", False)
        torch.set_autocast_enabled("cuda", False)
        torch.set_flush_denormal(False)


def _flushes_denormal() -> bool:
    """Whether this thread takes the smallest floats for 0, which torch sets and does not tell."""
    smallest = sys.float_info.min
    return smallest / 2 == 0.0


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
