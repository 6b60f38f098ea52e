"""`uninas-evo audit`: scores judged by real accuracies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uninas_evo.cli._app import app, show
from uninas_evo.cli._genomes import SpaceOption, space_of_run_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from uninas_evo.compare.audit import Agreement, Ceiling, Known, Scores
    from uninas_evo.stats.ranks import Interval

CELLS = 300
"""Networks of NAS-Bench-201 that are scored unless told otherwise: some minutes."""


@app.command()
def audit(
    bank: Annotated[
        Path,
        typer.Argument(
            help="A bank's folder, its CSV (.gz) with a column 'genome', uninas-mini, or NAS-Bench-201's table."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for journal.jsonl, audit.json and the figures.")] = Path("audit"),
    proxies: Annotated[
        str, typer.Option(help="Names, with commas between them; columns of the bank too. By default its scores.")
    ] = "",
    column: Annotated[
        str | None,
        typer.Option(help="The accuracies; by default 'accuracy', else the longest training, else CIFAR-10."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="The data set, of a bank that knows several.")] = None,
    space: SpaceOption = None,
    networks: Annotated[
        int | None, typer.Option(min=4, help="How many, drawn at random by the seed; all, or 300 of NAS-Bench-201.")
    ] = None,
    every_cell: Annotated[
        bool, typer.Option("--every-cell", help="Draw from all 15,625 cells, those with dead edges too.")
    ] = False,
    batch: Annotated[int, typer.Option(min=2, help="Images a batch.")] = 64,
    images: Annotated[
        str | None, typer.Option(help="Data that proxies see in the place of noise, as `train` takes it.")
    ] = None,
    calibrated_norms: Annotated[
        bool, typer.Option("--calibrated-norms", help="Batch norms keep the statistics of a first batch.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Draws the networks, weights and images.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
) -> None:
    """Judge scores by the real accuracies of a bank of trained networks.

    Networks of NAS-Bench-201 are drawn from the 9,445 cells without dead edges, as the published figures are.
    Prints how each score agrees with the accuracies, with 95 % bootstrap intervals, among networks of one size too,
    and what the noise of training lets a score reach; draws both. Columns of the bank are not computed again. Scores
    are written as they come: the same command goes on where it was interrupted, more networks or proxies add to it.

    Example: `uninas-evo audit bank --proxies naswot,az,vkdnw --out audit`
    """
    import json
    import random
    from dataclasses import asdict

    from uninas_evo.compare import audit as audits
    from uninas_evo.files import write_text
    from uninas_evo.pool.open import PoolOptions
    from uninas_evo.proxies import Inputs
    from uninas_evo.scoring.proxy import pictures
    from uninas_evo.spaces.nasbench201.space import NASBench201Space

    house = space_of_run_file(space)
    known = audits.known_networks(bank, column, house, data=data, every_cell=every_cell)
    cells = isinstance(known.space, NASBench201Space)
    order = sorted(range(len(known.accuracy)), key=lambda place: known.bank.genomes[place])
    random.Random(seed).shuffle(order)  # so that more networks extend fewer
    known = known.only(order[: networks or (CELLS if cells else None)])
    names = [name.strip() for name in proxies.split(",") if name.strip()]
    names = names or (["vkdnw_single", "params", "flops", "layers"] if cells else known.scores)
    image = known.space.image
    seen = pictures(images, image) if images else None
    inputs = Inputs(
        batch=batch, image=image, seed=seed, device=device, calibrated_norms=calibrated_norms, pictures=seen
    )
    pool = PoolOptions(devices=[device] * workers)
    seconds = known.seconds()

    def compute(missing: Sequence[str]) -> Scores:
        found = audits.score_networks(known.space, known.bank.genomes, missing, inputs, out, pool)
        seconds.update(audits.seconds_of(out))
        return found

    scores = audits.scored(known, names, compute)
    rows = audits.agreements(scores, known, names, seconds=seconds, seed=seed)
    top = audits.ceiling(known, seed=seed)
    found = {"column": known.column, "ceiling": top and asdict(top), "scores": [asdict(row) for row in rows]}
    write_text(out / "audit.json", json.dumps(found, indent=1) + "\n")
    show(_table(rows, known), at_least=120)
    if top is not None:
        typer.echo(
            f"{top.networks} networks were trained several times: one training deviates by {top.deviation:.2f} points, "
            f"two agree with τ {_interval(top.kendall)}, and a perfect score would reach τ {_interval(top.reachable)}"
        )
    _agreement(rows, top, out / "agreement.png")
    _scatter(scores, known, rows, out / "scatter.png")


def _table(rows: list[Agreement], known: Known) -> Table:
    """The agreements as a table, intervals below their estimates."""
    from rich.table import Column, Table

    columns = ("Kendall τ", "Spearman ρ", "nDCG", "best tenth", "τ of one size", "ρ without size")
    title = f"against {known.column} of {len(known.accuracy)} networks"
    measured = (Column(name, no_wrap=True) for name in columns)
    table = Table(
        Column("score", overflow="fold"), *measured, "s a network", "failed", title=title, title_justify="left"
    )
    for row in rows:
        found = (row.kendall, row.spearman, row.ndcg, row.precision, row.within, row.partial)
        cells = (f"{one.value:.3f}\n{one.low:.2f}, {one.high:.2f}" for one in found)
        seconds = "" if row.seconds is None else f"{row.seconds:.2g}"
        table.add_row(row.proxy, *cells, seconds, str(row.failures))
    return table


def _interval(one: Interval) -> str:
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"


def _agreement(rows: list[Agreement], top: Ceiling | None, path: Path) -> None:
    """Draws each score's τ with its interval, over all networks and among those of one size, and the ceiling."""
    from uninas_evo.files import write_atomically
    from uninas_evo.pages.palette import INK, SERIES
    from uninas_evo.report.plots import new_figure

    figure = new_figure(6.4, 1.2 + 0.32 * len(rows))
    axes = figure.add_subplot()
    ordered = sorted(rows, key=lambda row: row.kendall.value)
    for shift, name, color in ((0.12, "kendall", SERIES[0]), (-0.12, "within", SERIES[1])):
        found = [getattr(row, name) for row in ordered]
        values = [one.value for one in found]
        sides = [[max(0.0, one.value - one.low) for one in found], [max(0.0, one.high - one.value) for one in found]]
        label = {"kendall": "all pairs", "within": "pairs within 10 % of size"}[name]
        places = [place + shift for place in range(len(ordered))]
        axes.errorbar(values, places, xerr=sides, fmt="o", color=color, markersize=4, label=label)
    if top is not None:
        axes.axvspan(top.reachable.low, top.reachable.high, color=INK, alpha=0.15, lw=0, label="a perfect score")
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_yticks(range(len(ordered)), [row.proxy for row in ordered])
    axes.set(xlabel="Kendall's τ, 95 % interval")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=150))


def _scatter(scores: Scores, known: Known, rows: list[Agreement], path: Path) -> None:
    """Draws accuracy over the rank by each score, one panel a score."""
    from scipy.stats import rankdata

    from uninas_evo.compare.audit import ranking
    from uninas_evo.files import write_atomically
    from uninas_evo.report.plots import new_figure

    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    figure = new_figure(3 * columns, 2.8 * lines)
    for index, row in enumerate(rows):
        axes = figure.add_subplot(lines, columns, index + 1)
        axes.scatter(rankdata(ranking(scores, row.proxy)[0]), known.accuracy, s=4, alpha=0.5)
        axes.set(title=f"{row.proxy}: τ {row.kendall.value:.3f}", xlabel="rank", ylabel="accuracy (%)")
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=150))
