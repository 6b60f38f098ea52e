"""Latency of networks on this device beside what was promised of them, and known networks on the same axis."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from uninas_evo.compare.baselines import winners
from uninas_evo.contracts import Shape
from uninas_evo.devices.timing import Backend, Timing, onnx_pass, passes, peak_memory, timed
from uninas_evo.engine.events import AskEvent, ResultEvent
from uninas_evo.engine.journal import FILE_NAME, stream
from uninas_evo.errors import TrainingError
from uninas_evo.pages.palette import BLUE, INK, SOFT
from uninas_evo.report.plots import new_figure, style
from uninas_evo.spaces.load import load_space, presets
from uninas_evo.training.checkpoint import load_json
from uninas_evo.training.extras import need
from uninas_evo.training.formats import WEIGHTS, image_of, load
from uninas_evo.training.loop import TrainResult
from uninas_evo.training.lowered import session
from uninas_evo.training.outside import Outside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

IMAGENET: Shape = (3, 224, 224)
KNOWN: Mapping[str, tuple[str, float]] = {
    "MobileNetV2": ("timm:mobilenetv2_100", 0.280),
    "MobileNetV3": ("timm:mobilenetv3_large_100", 0.248),
    "MnasNet-A1": ("timm:semnasnet_100", 0.248),
    "EfficientNet-B0": ("timm:efficientnet_b0", 0.229),
    "ShuffleNetV2": ("torchvision:shufflenet_v2_x1_0", 0.306),
}
"""Known networks: where they come from, and the top-1 error on ImageNet at 224 pixels that their papers tell.

Sandler et al., arXiv 1801.04381; Howard et al., arXiv 1905.02244 (large); Tan et al., arXiv 1807.11626; Tan & Le, arXiv
1905.11946; Ma et al., arXiv 1807.11164 (1x).
"""
PUBLISHED, HERE = "ImageNet, as published", "as trained here"
"""Where an error comes from; one axis holds one of them."""


@dataclass(frozen=True)
class Benched:
    """A network on this device.

    Attributes:
        name: of the network.
        image: (C, H, W).
        megabytes: of its weights, or of its file.
        timing: of a forward pass.
        memory: megabytes that the passes took at most, beside the loaded network; None where the system does not tell.
        error: from 0 to 1, where it is known.
        source: `PUBLISHED` or `HERE`, where an error is known.
        promised: latencies that a search had of it, by name.
    """

    name: str
    image: Shape
    megabytes: float
    timing: Timing
    memory: float | None
    error: float | None
    source: str
    promised: Mapping[str, float]


@dataclass(frozen=True)
class _Subject:
    """What is timed: a network, or an ONNX file."""

    name: str
    image: Shape
    what: nn.Module | Path
    text: str = ""
    error: float | None = None
    source: str = ""


def bench(
    sources: Sequence[str] = (),
    *,
    backend: Backend = "ort",
    threads: int = 1,
    repeats: int = 50,
    run: str | Path | None = None,
    told: Callable[[Benched], None] = lambda one: None,
) -> list[Benched]:
    """Times forward passes of one image, one network after the other.

    Args:
        sources: ONNX files, folders of runs (their best) and of trainings, genomes' files, presets, `timm:NAME`,
            `torchvision:NAME`, and "known" for `KNOWN`; these and the presets by default.
        backend: "ort" exports networks to ONNX and times ONNX Runtime; "eager" times torch, "compile" torch.compile.
            ONNX files are always timed by ONNX Runtime.
        threads: of either.
        repeats: timed passes, after a quarter as many.
        run: the folder of the run that promised latencies; by default the one that a source lies in.
        told: is called with each as it is measured.

    Raises:
        TrainingError, GenomeError, JournalError: a source is none of these, or cannot be read.
        MissingExtraError: onnxruntime, timm or torchvision is not installed.
    """
    found = []
    for source in sources or ("known", *presets_of_uninas()):
        for one in _subjects(source):
            folder = _run_of(Path(source)) if run is None else Path(run)
            promised = {} if folder is None or not one.text else _promised(folder, one.text)
            megabytes, timing, memory = _measured(one, backend, threads, repeats)
            found.append(Benched(one.name, one.image, megabytes, timing, memory, one.error, one.source, promised))
            told(found[-1])
    return found


def presets_of_uninas() -> tuple[str, ...]:
    """The presets at the size of ImageNet."""
    from uninas_evo.spaces.uninas import PRESETS

    return tuple(PRESETS)


def _subjects(source: str) -> list[_Subject]:
    path = Path(source)
    if source == "known":
        return [_outside(origin, name, error) for name, (origin, error) in KNOWN.items()]
    if source.startswith(("timm:", "torchvision:")):
        return [_outside(source)]
    if source.endswith(".onnx"):
        return [_file(path)]
    if (path / FILE_NAME).is_file():
        space, (genome,) = winners(path, 1)
        return [_Subject(path.name, space.image_of(genome), space.build(genome), space.encode(genome))]
    if (path / WEIGHTS).is_file():
        network = load(path)
        accuracy = TrainResult.from_json(load_json(path / "result.json")).tested.get("accuracy")
        known = {} if accuracy is None else {"error": 1 - accuracy, "source": HERE}
        return [_Subject(str(path), image_of(network), network, network.genome_text, **known)]  # type: ignore[arg-type]
    space, genome = load_space(source)
    name = source if source in presets() else path.name
    return [_Subject(name, space.image_of(genome), space.build(genome), space.encode(genome))]


def _outside(source: str, name: str = "", error: float | None = None) -> _Subject:
    """A network of timm or torchvision, with random weights: they do not change its time."""
    kind, _, called = source.partition(":")
    if kind == "timm":
        network: Any = Outside.parse(source).create()
        channels, height, width = network.pretrained_cfg["input_size"]
        size: Shape = (channels, height, width)
    else:
        models = need("torchvision.models")
        if called not in models.list_models():
            raise TrainingError(f"torchvision has no network {called!r:.80}; write torchvision:NAME")
        network, size = models.get_model(called, weights=None), IMAGENET
    return _Subject(name or source, size, network, error=error, source=PUBLISHED if error is not None else "")


def _file(path: Path) -> _Subject:
    """An ONNX file; ours tell their genome and the accuracy that they were tested to have."""
    opened = session(path)
    (entry,) = opened.get_inputs()
    if len(entry.shape) != 4 or not all(isinstance(side, int) for side in entry.shape[1:]):
        raise TrainingError(f"{path} takes {entry.shape}, and one image (N, C, H, W) is timed; give another network")
    notes = opened.get_modelmeta().custom_metadata_map
    error = 1 - float(notes["test_accuracy"]) if "test_accuracy" in notes else None
    text = json.loads(notes.get("genome", '""'))
    return _Subject(str(path), tuple(entry.shape[1:]), path, text, error, HERE if error is not None else "")


def _run_of(path: Path) -> Path | None:
    """The folder of the run that a path lies in."""
    return next((folder for folder in path.absolute().parents if (folder / FILE_NAME).is_file()), None)


def _promised(folder: Path, text: str) -> dict[str, float]:
    """What a run had known or measured of a genome, of everything in milliseconds."""
    numbers, found = set(), dict[str, float]()
    for event in stream(folder):
        if isinstance(event, AskEvent) and event.genome is not None and event.genome.strip() == text.strip():
            numbers.add(event.number)
            found |= {name: float(amount) for name, amount in event.costs.items() if name.endswith("_ms")}
        elif isinstance(event, ResultEvent) and event.number in numbers and event.values is not None:
            found |= {name: value for name, value in event.values.items() if name.endswith("_ms")}
    return found


def _measured(one: _Subject, backend: Backend, threads: int, repeats: int) -> tuple[float, Timing, float | None]:
    """Megabytes, time, and megabytes of memory."""
    if isinstance(one.what, Path):
        run = onnx_pass(one.what, one.image, threads)
        with peak_memory() as peak:
            return one.what.stat().st_size / 1e6, timed(run, repeats), peak()
    megabytes = sum(p.numel() * p.element_size() for p in one.what.parameters()) / 1e6
    with passes(one.what, one.image, backend, threads) as run, peak_memory() as peak:
        return megabytes, timed(run, repeats), peak()


def figure(found: Sequence[Benched]) -> Figure:
    """Error against latency, with one panel for each source of errors; networks without one are lines at their time."""
    from matplotlib.ticker import NullFormatter

    groups = [group for group in (PUBLISHED, HERE) if any(one.source == group for one in found)] or [""]
    drawn = new_figure(6.4, 4.2 * len(groups))
    for group, axes in zip(groups, np.ravel(drawn.subplots(len(groups))), strict=True):
        own = [one for one in found if one.source == group and one.error is not None]
        for place, one in enumerate(sorted(own, key=lambda one: one.timing.median)):
            _point(axes, one, above=place % 2 == 0)
        lines = [one for one in found if one.error is None and group == groups[0]]
        for place, one in enumerate(sorted(lines, key=lambda one: one.timing.median)):
            _line(axes, one, above=place % 2 == 1)
        axes.set_xscale("log")
        axes.margins(0.2)
        style(axes, "latency of one image here (ms)", f"error (%), {group}" if group else "")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        low, high = axes.get_xlim()
        axes.xaxis.set_minor_formatter((lambda value, _: f"{value:g}") if high < 10 * low else NullFormatter())
    return drawn


def _point(axes: Axes, one: Benched, *, above: bool) -> None:
    """Median and quartiles, with the name above or below: neighbors alternate, and do not overlap."""
    time, error = one.timing, 100 * (one.error or 0)
    spread = [[time.median - time.low], [time.high - time.median]]
    axes.errorbar(time.median, error, xerr=spread, fmt="o", markersize=5, color=BLUE)
    axes.annotate(
        _short(one.name), (time.median, error), (6, 5) if above else (-6, -5), textcoords="offset points",
        fontsize=8, color=INK, ha="left" if above else "right", va="bottom" if above else "top",
    )  # fmt: skip


def _line(axes: Axes, one: Benched, *, above: bool) -> None:
    """A network whose error is not known, at its time; names alternate as those of points do."""
    axes.axvline(one.timing.median, color=SOFT, linestyle=":", linewidth=1)
    axes.annotate(
        _short(one.name), (one.timing.median, 0.72 if above else 0.02), (2, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", rotation=90, fontsize=8, color=INK,
    )  # fmt: skip


def _short(name: str) -> str:
    return "/".join(Path(name).parts[-2:]) if name.endswith(".onnx") else Path(name).name
