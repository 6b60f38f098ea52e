"""Winners of a search trained against presets and random networks, alike in everything else: train and compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import nn

from uninas_evo.compare import baselines
from uninas_evo.compare.pretrained import PretrainedSpace
from uninas_evo.contracts import Budget, Shape, Space
from uninas_evo.errors import BudgetError, TrainingError
from uninas_evo.files import write_text
from uninas_evo.report.record import genome_id
from uninas_evo.spaces.sized import random_networks
from uninas_evo.spaces.uninas import Genome
from uninas_evo.stats.tests import proportions_interval
from uninas_evo.training.checkpoint import save_json
from uninas_evo.training.genomes import check_image_size, train_in_space
from uninas_evo.training.options import TrainOptions
from uninas_evo.training.process import Process, device_of
from uninas_evo.training.protocol import Protocol, protocol_for
from uninas_evo.training.tasks import task_class

CONFIDENCE = 0.95
SPEED_BATCH = 64
"""Images a batch when the speed of inference is measured."""


@dataclass(frozen=True)
class Entrant:
    """A network of the comparison.

    Attributes:
        label: in the table.
        genome: its genome.
        pretrained: the space of a pretrained network; None for one of the run's space.
    """

    label: str
    genome: Any
    pretrained: PretrainedSpace | None = None


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        label: "winner 1", "resnet", "random 1", ...
        id: the genome's.
        costs: its named costs.
        images_per_s: images classified a second, in batches of `SPEED_BATCH`.
        accuracies: test accuracy of each seed, or what the task measures.
        gap: mean accuracy of the first winner less this one's; None for the winner itself.
        gap_low: lower end of the gap's interval.
        gap_high: its upper end.
    """

    label: str
    id: str
    costs: Mapping[str, float]
    images_per_s: float
    accuracies: tuple[float, ...]
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None

    @property
    def accuracy(self) -> float:
        """Mean test accuracy over the seeds."""
        return float(np.mean(self.accuracies))


Report = Callable[[str], None]


def train_and_compare(run_dir: str | Path, options: TrainOptions, report: Report = lambda line: None) -> list[Row]:
    """Trains the best genomes of a run, its start, the presets at its budget and random networks, and compares them.

    Everything is written under `DIR/train/` (see `training_root`), a folder for each network and seed; called again, it
    goes on where it stopped. The table is `table.md` and `table.json` there.

    Args:
        run_dir: a folder that a search wrote.
        options: what is trained, with which data and protocol.
        report: is told of every training that begins or ends.

    Raises:
        JournalError: the run cannot be read or has no scored genome.
        DataError, TrainingError, MissingExtraError: as `train`.
    """
    threads = {} if options.threads is None else {"threads": options.threads}
    protocol = protocol_for(options.task, options.protocol).replace(**options.settings, **threads)
    data = task_class(protocol.task).read(options.data, protocol)
    space, best = baselines.winners(run_dir, options.top)
    entrants = field_of(space, best, options, report)
    image = space.image_of(best[0])
    check_image_size(image, protocol)
    if options.baseline:
        entrants.append(_pretrained(options.baseline, image, len(data.classes), protocol, report))
    folder = baselines.training_root(run_dir, protocol.task, options.data)
    return compare(space, entrants, data, protocol, folder, options, report)


def field_of(
    space: Space[Any], best: Sequence[Any], options: TrainOptions, report: Report = lambda line: None
) -> list[Entrant]:
    """The networks that are compared; without an upper bound on parameters, the winner's own are the budget.

    The presets are networks of the UniNAS space; winners of another space are compared with random networks of theirs.
    """
    entrants = [Entrant(f"winner {i + 1}", genome) for i, genome in enumerate(best)]
    if options.start and space.start is not None and space.start not in best:
        entrants.append(Entrant("start", space.start))
    if isinstance(best[0], Genome):
        entrants += _presets(best[0], space.budget, options, report)
    chance = random_networks(space, best[0], options.random)
    return entrants + [Entrant(f"random {i + 1}", genome) for i, genome in enumerate(chance)]


def _pretrained(source: str, image: Shape, classes: int, protocol: Protocol, report: Report) -> Entrant:
    """The pretrained network that is fine-tuned on the same images.

    Raises:
        TrainingError: it is no classifier that is compared.
    """
    if protocol.task != "classification":
        raise TrainingError(f"a baseline is for classification, got {protocol.task}; leave {source} out")
    space = PretrainedSpace(source, image, classes, report)
    return Entrant(space.label, space.start, space)


def _presets(winner: Genome, budget: Budget, options: TrainOptions, report: Report) -> list[Entrant]:
    """The presets at the budget; one that does not fit is reported and left out."""
    bound = budget.max_params if np.isfinite(budget.max_params) else winner.params
    entrants = []
    for name in options.presets:
        try:
            scaled = baselines.scaled_preset(name, winner.skeleton, Budget(0, bound, 0, budget.max_flops))
        except BudgetError as error:
            report(f"{name} is left out: {error}")
            continue
        entrants.append(Entrant(name, scaled))
    return entrants


def compare(
    space: Space[Any],
    entrants: Sequence[Entrant],
    data: Any,
    protocol: Protocol,
    folder: Path,
    options: TrainOptions,
    report: Report = lambda line: None,
) -> list[Row]:
    """Trains every entrant with every seed; the first entrant is the one that gaps are counted from."""
    process = Process(device_of(options.device))
    rows: list[Row] = []
    for entrant in entrants:
        genome, accuracies = entrant.genome, list[float]()
        own: Space[Any] = entrant.pretrained or space
        settings = entrant.pretrained.protocol(protocol) if entrant.pretrained else protocol
        text, cost = own.encode(genome), dict(own.cost(genome))
        for seed in range(options.seeds):
            place = baselines.folder_of(folder, entrant.label, text, seed)
            report(f"{entrant.label} ({cost['params']:,} params), seed {seed}: trains into {place}")
            say = report if not rows and not accuracies else (lambda line: None)  # the data is the same for all
            result = train_in_space(
                own, genome, data, settings, place, seed=seed, process=process, workers=options.workers, say=say
            )
            accuracies.append(result.value)
            report(f"{entrant.label}, seed {seed}: {result.value:.2%} in {result.seconds:.0f} s")
        speed = throughput(own.build(genome), own.image_of(genome), process.device)
        rows.append(Row(entrant.label, genome_id(text), cost, speed, tuple(accuracies)))
    task = task_class(protocol.task)
    images = len(data.test) if protocol.task == "classification" else 0
    rows = [rows[0], *(with_gap(row, rows[0], images) for row in rows[1:])]
    save_json(folder / "table.json", [_flat(row) for row in rows])
    write_text(folder / "table.md", as_markdown(rows, task.shown))
    return rows


def _flat(row: Row) -> dict[str, Any]:
    """A row with its costs as columns of their own."""
    content = asdict(replace(row, costs={}))
    del content["costs"]
    return content | dict(row.costs)


def with_gap(row: Row, winner: Row, images: int) -> Row:
    """The row with the winner's lead over it and the lead's 95 % interval.

    With several seeds the interval is Student's on the differences seed by seed, so that it holds the luck of
    training; with one it only holds that of drawing `images` test images (Newcombe's, unpaired: on the safe side), and
    where the values are no shares of images (0) there is none.
    """
    a, b = np.asarray(winner.accuracies), np.asarray(row.accuracies)
    gap = float((a - b).mean())
    if len(a) > 1:
        error = float((a - b).std(ddof=1)) / len(a) ** 0.5
        half_width = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, len(a) - 1))
        return replace(row, gap=gap, gap_low=gap - half_width, gap_high=gap + half_width)
    if not images:
        return replace(row, gap=gap)
    low, high = proportions_interval(float(a[0]), float(b[0]), images, CONFIDENCE)
    return replace(row, gap=gap, gap_low=low, gap_high=high)


@torch.inference_mode()
def throughput(network: nn.Module, image: Shape, device: torch.device, seconds: float = 1.0) -> float:
    """Images (C, H, W) classified a second, in batches of `SPEED_BATCH`, after one batch to warm up."""
    network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.zeros(SPEED_BATCH, *image, device=device).to(memory_format=torch.channels_last)
    network(images).sum().item()
    start, batches = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < seconds:
        network(images).sum().item()  # waits for the device
        batches += 1
    return SPEED_BATCH * batches / passed


def as_markdown(rows: Sequence[Row], shown: str = "accuracy") -> str:
    """The table, best read in a terminal or in Markdown."""
    seeds = len(rows[0].accuracies)
    head = f"{shown} ({seeds} seed{'s' if seeds > 1 else ''})"
    names = list(rows[0].costs)
    titles = "".join(f" {'FLOPs' if name == 'flops' else name} |" for name in names)
    lines = [
        f"| network | genome | {head} | winner's lead [95 %] |{titles} images/s |",
        "|---|---|--:|--:|" + "--:|" * len(names) + "--:|",
    ]
    for r in rows:
        spread = f" ± {100 * np.std(r.accuracies, ddof=1):.2f}" if seeds > 1 else ""
        lead = "" if r.gap is None else f"{100 * r.gap:+.2f}"
        if r.gap_low is not None and r.gap_high is not None:
            lead += f" [{100 * r.gap_low:+.2f}, {100 * r.gap_high:+.2f}]"
        sizes = "".join(f" {_amount(name, r.costs.get(name))} |" for name in names)
        lines.append(
            f"| {r.label} | {r.id} | {100 * r.accuracy:.2f} %{spread} | {lead} |{sizes} {r.images_per_s:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _amount(name: str, cost: float | None) -> str:
    """A cost for people: counts whole, FLOPs in millions, what is smaller with five digits that count."""
    if cost is None:
        return ""
    if name == "flops":
        return f"{cost / 1e6:.1f} M"
    return f"{cost:,}" if isinstance(cost, int) else f"{cost:.5g}"
