"""The handover: winners of a search trained against presets and random networks, alike in everything else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from uninas_evo.compare import baselines
from uninas_evo.contracts import Budget
from uninas_evo.errors import BudgetError
from uninas_evo.spaces.uninas import Genome
from uninas_evo.spaces.uninas.network import Network, build
from uninas_evo.training.checkpoint import save_json, write_atomically
from uninas_evo.training.genomes import check_image_size, train_genome
from uninas_evo.training.images import Splits
from uninas_evo.training.options import TrainOptions
from uninas_evo.training.process import Process, device_of
from uninas_evo.training.protocol import Protocol, load_protocol
from uninas_evo.training.readers import read_splits

CONFIDENCE = 0.95
SPEED_BATCH = 64
"""Images a batch when the speed of inference is measured."""


@dataclass(frozen=True)
class Entrant:
    """A network of the comparison: its label in the table and its genome."""

    label: str
    genome: Genome


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        label: "winner 1", "resnet", "random 1", ...
        id: the genome's.
        params: parameters.
        flops: FLOPs of one image.
        images_per_s: images classified a second, in batches of `SPEED_BATCH`.
        accuracies: test accuracy of each seed.
        gap: mean accuracy of the first winner less this one's; None for the winner itself.
        gap_low: lower end of the gap's interval.
        gap_high: its upper end.
    """

    label: str
    id: str
    params: int
    flops: int
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


def handover(run_dir: str | Path, options: TrainOptions, report: Report = lambda line: None) -> list[Row]:
    """Trains the best genomes of a run, the presets at its budget and random networks, and compares them.

    Everything is written under `DIR/train/`, a folder for each network and seed; called again, it goes on where it
    stopped. The table is `DIR/train/table.md` and `table.json`.

    Args:
        run_dir: a folder that a search wrote.
        options: what is trained, with which data and protocol.
        report: is told of every training that begins or ends.

    Raises:
        JournalError: the run cannot be read or has no scored genome.
        DataError, TrainingError, MissingExtraError: as `train`.
    """
    protocol = load_protocol(options.protocol)
    splits = read_splits(options.data, protocol.val_fraction)
    best = baselines.winners(run_dir, options.top)
    entrants = field_of(best, baselines.budget_of(run_dir), options, report)
    check_image_size(best[0], protocol)
    return compare(entrants, splits, protocol, Path(run_dir) / "train", options, report)


def field_of(
    best: Sequence[Genome], budget: Budget, options: TrainOptions, report: Report = lambda line: None
) -> list[Entrant]:
    """The networks that are compared; without an upper bound on parameters, the winner's own are the budget."""
    entrants = [Entrant(f"winner {i + 1}", genome) for i, genome in enumerate(best)]
    bound = min(budget.max_params, max(budget.max_params if np.isfinite(budget.max_params) else 0, best[0].params))
    for name in options.presets:
        try:
            scaled = baselines.scaled_preset(name, best[0].skeleton, Budget(0, bound, 0, budget.max_flops))
        except BudgetError as error:
            report(f"{name} is left out: {error}")
            continue
        entrants.append(Entrant(name, scaled))
    chance = baselines.random_networks(best[0], options.random, budget)
    return entrants + [Entrant(f"random {i + 1}", genome) for i, genome in enumerate(chance)]


def compare(
    entrants: Sequence[Entrant],
    splits: Splits,
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
        for seed in range(options.seeds):
            place = baselines.folder_of(folder, entrant.label, genome, seed)
            report(f"{entrant.label} ({genome.params:,} params), seed {seed}: trains into {place}")
            say = report if not rows and not accuracies else (lambda line: None)  # the data is the same for all
            result = train_genome(
                genome, splits, protocol, place, seed=seed, process=process, workers=options.workers, say=say
            )
            accuracies.append(result.test_accuracy)
            report(f"{entrant.label}, seed {seed}: {result.test_accuracy:.2%} in {result.seconds:.0f} s")
        speed = throughput(build(genome), process.device)
        rows.append(Row(entrant.label, genome.id, genome.params, genome.flops, speed, tuple(accuracies)))
    rows = [rows[0], *(with_gap(row, rows[0], len(splits.test)) for row in rows[1:])]
    save_json(folder / "table.json", [asdict(row) for row in rows])
    table = as_markdown(rows)
    write_atomically(folder / "table.md", lambda file: file.write(table.encode()))
    return rows


def with_gap(row: Row, winner: Row, images: int) -> Row:
    """The row with the winner's lead over it and the lead's 95 % interval.

    With several seeds the interval is Student's on the differences seed by seed, so that it holds the luck of
    training; with one it only holds that of drawing `images` test images (normal, unpaired: on the safe side).
    """
    a, b = np.asarray(winner.accuracies), np.asarray(row.accuracies)
    gap = float((a - b).mean())
    if len(a) > 1:
        error = float((a - b).std(ddof=1)) / len(a) ** 0.5
        reach = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, len(a) - 1))
    else:
        variance = sum(float(p[0] * (1 - p[0])) for p in (a, b)) / images
        reach = variance**0.5 * float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    return replace(row, gap=gap, gap_low=gap - reach, gap_high=gap + reach)


@torch.inference_mode()
def throughput(network: Network, device: torch.device, seconds: float = 1.0) -> float:
    """Images classified a second, in batches of `SPEED_BATCH`, after one batch to warm up."""
    network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = network.genome.skeleton.image_size
    images = torch.zeros(SPEED_BATCH, 3, size, size, device=device).to(memory_format=torch.channels_last)
    network(images).sum().item()
    start, batches = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < seconds:
        network(images).sum().item()  # waits for the device
        batches += 1
    return SPEED_BATCH * batches / passed


def as_markdown(rows: Sequence[Row]) -> str:
    """The table, best read in a terminal or in Markdown."""
    seeds = len(rows[0].accuracies)
    head = f"accuracy ({seeds} seed{'s' if seeds > 1 else ''})"
    lines = [
        f"| network | genome | {head} | winner's lead [95 %] | params | FLOPs | images/s |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for r in rows:
        spread = f" ± {100 * np.std(r.accuracies, ddof=1):.2f}" if seeds > 1 else ""
        lead = (
            "" if r.gap is None or r.gap_low is None or r.gap_high is None
            else f"{100 * r.gap:+.2f} [{100 * r.gap_low:+.2f}, {100 * r.gap_high:+.2f}]"
        )  # fmt: skip
        lines.append(
            f"| {r.label} | {r.id} | {100 * r.accuracy:.2f} %{spread} | {lead} | {r.params:,} | {r.flops / 1e6:.1f} M "
            f"| {r.images_per_s:.0f} |"
        )
    return "\n".join(lines) + "\n"
