"""`uninas-evo handover`: trains a search's winners against presets and random networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._options import BaselineOption
from uninas_evo.cli.train import ChangeOption, ProtocolOption, TaskOption, ThreadsOption, changes

if TYPE_CHECKING:
    from uninas_evo.training.options import TrainOptions


@app.command()
def handover(
    run_dir: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a search.")],
    data: Annotated[
        str | None, typer.Option(help="As for train; by default what [train] in the run file says.")
    ] = None,
    task: TaskOption = None,
    protocol: ProtocolOption = None,
    top: Annotated[int | None, typer.Option(min=1, help="How many winners; 1 by default.")] = None,
    random: Annotated[int | None, typer.Option(min=0, help="How many random networks; 2 by default.")] = None,
    baseline: BaselineOption = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Trainings of each network; 1 by default.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, or auto.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that read images ahead.")] = None,
    threads: ThreadsOption = None,
    change: ChangeOption = None,
) -> None:
    """Trains a search's winners, presets at its budget and random networks alike, and prints who is better.

    With --task they are backbones, compared by what the task measures. Options that are not given come
    from `[train]` in the run file. The same command goes on where it stopped.

    Example: `uninas-evo handover runs/my-search --data /usr/share/datasets/fashion-mnist --seeds 3`
    """
    from uninas_evo.compare.train_and_compare import as_markdown, train_and_compare
    from uninas_evo.training.protocol import protocol_for
    from uninas_evo.training.tasks import task_class

    given = {
        "data": data, "task": task, "protocol": protocol, "top": top, "random": random, "seeds": seeds,
        "baseline": baseline,
        "device": device, "workers": workers, "threads": threads, "settings": changes(change, None) if change else None,
    }  # fmt: skip
    options = _options(run_dir, {name: value for name, value in given.items() if value is not None})
    shown = task_class(protocol_for(options.task, options.protocol).task).shown
    print(as_markdown(train_and_compare(run_dir, options, _say), shown), end="")


def _options(run_dir: Path, given: Mapping[str, Any]) -> TrainOptions:
    """The options of the run file's `[train]` table, changed by those given.

    Raises:
        RunFileError: data is told by neither, or a value is wrong.
    """
    from uninas_evo.compare.baselines import train_table
    from uninas_evo.errors import RunFileError
    from uninas_evo.mistakes import check
    from uninas_evo.training.options import TrainOptions

    options, mistakes = check(TrainOptions, train_table(run_dir) | dict(given), ("train",), run_dir)
    if mistakes:
        raise RunFileError(
            f"{run_dir} cannot be handed over: {'; '.join(mistakes)}; give the option, or set it in [train]"
        )
    return TrainOptions.model_validate(options)


def _say(line: str) -> None:
    typer.echo(line, err=True)
