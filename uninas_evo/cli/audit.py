"""`uninas-evo audit`: proxies judged by real accuracies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uninas_evo.cli._app import app, show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from uninas_evo.compare.audit import Agreement


@app.command()
def audit(
    table: Annotated[Path, typer.Option(help="CSV of NAS-Bench-201, or of the space of --space.")],
    out: Annotated[Path, typer.Option(help="Folder for journal.jsonl, audit.json and scatter.png.")] = Path("audit"),
    proxies: Annotated[str, typer.Option(help="Names, with commas between them.")] = "vkdnw_single,params,flops,layers",
    dataset: Annotated[str, typer.Option(help="cifar10 or cifar100, of NAS-Bench-201.")] = "cifar10",
    space: Annotated[
        Path | None, typer.Option(help="A run file: the table holds genomes of its space, in a column 'genome'.")
    ] = None,
    column: Annotated[str, typer.Option(help="Its column of accuracies in percent, with --space.")] = "accuracy",
    networks: Annotated[int, typer.Option(min=4, help="How many, drawn at random by the seed.")] = 300,
    every_cell: Annotated[
        bool, typer.Option("--every-cell", help="Draw from all 15,625 cells, those with dead edges too.")
    ] = False,
    batch: Annotated[int, typer.Option(min=2, help="Images a batch.")] = 64,
    seed: Annotated[int, typer.Option(help="Draws the networks, weights and images.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
) -> None:
    """Judge proxies by the real accuracies of NAS-Bench-201, or of a table of your own.

    Networks of NAS-Bench-201 are drawn from the 9,445 cells without dead edges, as the published figures are.
    Prints Kendall's τ, Spearman's ρ and nDCG with 95 % bootstrap intervals, and draws the scatter. Scores are
    written as they come: the same command goes on where it was interrupted, and more networks or proxies add to it.

    Example: `uninas-evo audit --table nasbench201.csv.gz --proxies vkdnw_single,naswot,az --out audit`
    """
    import json
    import random
    from dataclasses import asdict

    from uninas_evo.compare.audit import agreements, read_accuracies, score_networks
    from uninas_evo.config.runfile import load_run_file
    from uninas_evo.contracts import Space
    from uninas_evo.errors import ProxyError
    from uninas_evo.files import write_text
    from uninas_evo.pool.open import PoolOptions
    from uninas_evo.problems.nasbench201 import read_table
    from uninas_evo.proxies import Inputs
    from uninas_evo.spaces.nasbench201.space import Cell, NASBench201Space

    names = [name.strip() for name in proxies.split(",") if name.strip()]
    if not names:
        raise ProxyError("audit needs a proxy, and --proxies names none; give names such as vkdnw_single,naswot")
    house: Space[Any]
    if space is None:
        house = NASBench201Space({"cifar10": 10, "cifar100": 100}[dataset])
        accuracies = read_table(table, dataset)
    else:
        house = load_run_file(space).problem().space
        accuracies = read_accuracies(table, column, house)
    order = sorted(accuracies)
    random.Random(seed).shuffle(order)  # so that more networks extend fewer
    every = every_cell or space is not None
    chosen = [text for text in order if every or Cell.from_text(text).is_whole][:networks]
    inputs = Inputs(batch=batch, image=house.image, seed=seed, device=device)
    pool = PoolOptions(devices=[device] * workers)
    scores = score_networks(house, chosen, names, inputs, out, pool)
    rows = agreements(scores, accuracies, names, seed=seed)
    write_text(out / "audit.json", json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    show(_table(rows), at_least=110)
    _scatter(scores, accuracies, rows, out / "scatter.png")


def _table(rows: list[Agreement]) -> Table:
    """The agreements as a table, estimates with their intervals."""
    from rich.table import Table

    table = Table("proxy", "Kendall τ", "Spearman ρ", "nDCG", "networks", "failed")
    for row in rows:
        estimates = (f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]" for x in (row.kendall, row.spearman, row.ndcg))
        table.add_row(row.proxy, *estimates, str(row.networks), str(row.failures))
    return table


def _scatter(
    scores: Mapping[str, Mapping[str, float | None]],
    accuracies: Mapping[str, float],
    rows: list[Agreement],
    path: Path,
) -> None:
    """Draws accuracy over the rank of each proxy, one panel a proxy."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from scipy.stats import rankdata

    from uninas_evo.compare.audit import ranking
    from uninas_evo.files import write_atomically

    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(3 * columns, 2.8 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    truth = [accuracies[text] for text in scores]
    for index, row in enumerate(rows):
        axes = figure.add_subplot(lines, columns, index + 1)
        axes.scatter(rankdata(ranking(scores, row.proxy)[0]), truth, s=4, alpha=0.5)
        axes.set(title=f"{row.proxy}: τ {row.kendall.value:.3f}", xlabel="rank", ylabel="accuracy (%)")
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=150))
