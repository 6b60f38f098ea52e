"""How long networks run on this device: forward passes of one image, by several backends."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from uninas_evo.contracts import Shape
from uninas_evo.errors import TrainingError
from uninas_evo.mistakes import nearest
from uninas_evo.threads import fixed_threads

if TYPE_CHECKING:
    from torch import Tensor, nn

Backend = Literal["ort", "eager", "compile"]
BACKENDS: tuple[str, ...] = get_args(Backend)
Run = Callable[[], Any]
"""One forward pass."""
ROUNDS = 3
"""Rounds of `least` at least."""
BURST = 4
"""Timed passes of a run in a round, behind one that is not."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds of a forward pass of one image: the median, and the quartiles beside it."""

    median: float
    low: float
    high: float


def checked(backend: str) -> Backend:
    """A backend by its name.

    Raises:
        TrainingError: there is none of this name.
    """
    if backend not in BACKENDS:
        raise TrainingError(
            f"a backend is one of {', '.join(BACKENDS)}, got {backend!r:.40}{nearest(backend, BACKENDS)}; leave it out "
            "for ort"
        )
    return backend  # type: ignore[return-value]  # it is among them


@contextmanager
def passes(network: nn.Module, image: Shape, backend: Backend, threads: int) -> Iterator[Run]:
    """Gives a forward pass of one image of normal pixels, in eval mode.

    Args:
        network: (N, C, H, W) to any output; is put into eval mode.
        image: (C, H, W).
        backend: "ort" exports it to ONNX for ONNX Runtime; "eager" is torch, "compile" torch.compile.
        threads: of either.

    Raises:
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    import torch

    from uninas_evo.spaces.uninas.network.onnx import export_onnx

    network.eval()
    if backend == "ort":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            export_onnx(network, path, image)
            yield onnx_pass(path, image, threads)
        return
    run = torch.compile(network) if backend == "compile" else network
    pixels = torch.from_numpy(_pixels(image))
    with fixed_threads(threads), torch.inference_mode():
        yield lambda: run(pixels)


def onnx_pass(model: Path | bytes, image: Shape, threads: int) -> Run:
    """A forward pass of one image by ONNX Runtime on the CPU.

    Args:
        model: an ONNX file, or what it holds.
        image: (C, H, W).
        threads: of the session.

    Raises:
        TrainingError: it is no ONNX network.
        MissingExtraError: onnxruntime is not installed.
    """
    from uninas_evo.training.lowered import session

    opened, pixels = session(model, threads), _pixels(image)
    name = opened.get_inputs()[0].name
    return lambda: opened.run(None, {name: pixels})


@contextmanager
def piece_passes(pieces: Sequence[nn.Module], image: Shape, backend: Backend, threads: int) -> Iterator[list[Run]]:
    """Gives a forward pass of each of several modules with the same input; one export to ONNX serves all.

    Args:
        pieces: (N, C, H, W) to one output each.
        image: (C, H, W).
        backend: as for `passes`.
        threads: of it.
    """
    with ExitStack() as stack:
        if backend != "ort":
            yield [stack.enter_context(passes(piece, image, backend, threads)) for piece in pieces]
            return
        from uninas_evo.spaces.uninas.network.onnx import export_onnx
        from uninas_evo.training.extras import need

        onnx = need("onnx")
        names = [f"output{index}" for index in range(len(pieces))]
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "pieces.onnx"
        export_onnx(_side_by_side(pieces), path, image, names)
        cut = onnx.utils.Extractor(onnx.load(str(path)))
        alone = [cut.extract_model(["image"], [name]).SerializeToString() for name in names]
        yield [onnx_pass(model, image, threads) for model in alone]


def timed(run: Run, repeats: int) -> Timing:
    """The time of a forward pass, over so many after a quarter as many to warm up."""
    for _ in range(repeats // 4 + 1):
        run()
    low, median, high = np.quantile([_once(run) for _ in range(repeats)], (0.25, 0.5, 0.75)).tolist()
    return Timing(median, low, high)


def least(runs: Sequence[Run], seconds: float) -> list[float]:
    """The least milliseconds of each of several forward passes.

    The passes go round: a machine that others use too is slow for seconds at a time, and each run meets all of its
    moods. What disturbs a pass can only lengthen it, so that the least one is the device's own.

    Args:
        runs: the passes.
        seconds: for each, in the mean; at least `ROUNDS` rounds are made.
    """
    best = [math.inf] * len(runs)
    begin, rounds = time.perf_counter(), 0
    while rounds < ROUNDS or time.perf_counter() - begin < seconds * len(runs):
        rounds += 1
        for place, run in enumerate(runs):
            run()  # brings weights into the caches
            best[place] = min(best[place], *(_once(run) for _ in range(BURST)))
    return best


def _once(run: Run) -> float:
    begin = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - begin)


@contextmanager
def peak_memory() -> Iterator[Callable[[], float | None]]:
    """Gives the megabytes (10^6 bytes) that this process held at most since the block began, beyond those of before.

    Memory that was free within the process counts for nothing. None where the system does not tell it: Linux does.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
        before = _held("VmRSS")
    except OSError:
        yield lambda: None
        return
    yield lambda: max(0.0, _held("VmHWM") - before)


def _held(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name))


def _side_by_side(modules: Sequence[nn.Module]) -> nn.Module:
    """A module that gives the outputs of several for one input."""
    from torch import nn

    class SideBySide(nn.ModuleList):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return tuple(module(x) for module in self)

    return SideBySide(modules).eval()


def _pixels(image: Shape) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal((1, *image), np.float32)
