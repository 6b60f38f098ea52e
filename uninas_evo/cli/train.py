"""`uninas-evo train`: trains a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from uninas_evo.cli._app import app

DataOption = Annotated[
    str,
    typer.Option(
        help="A folder with train/ and val/ of one folder a class, one with labels.csv or IDX files, or an .npz file."
    ),
]
ProtocolOption = Annotated[str, typer.Option(help="imagenet, deit, small, or the path of a TOML file.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, or auto: a GPU where there is one.")]
WorkersOption = Annotated[int, typer.Option(min=0, help="Processes that read images ahead; 8 are usual beside a GPU.")]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, help="Threads of torch on the CPU; by default the protocol's, which is 1.")
]
ChangeOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a setting of the protocol, such as epochs=30.")
]


@app.command()
def train(
    source: Annotated[
        str,
        typer.Argument(metavar="GENOME|RUN_DIR", help="A preset, a genome's file, or a run folder: its best genome."),
    ],
    data: DataOption,
    protocol: ProtocolOption = "small",
    out: Annotated[
        Path | None,
        typer.Option(help="The training's folder; by default trained/ID/seed-SEED, of a run RUN_DIR/train/..."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and augmentation.")] = 0,
    device: DeviceOption = "auto",
    workers: WorkersOption = 0,
    threads: ThreadsOption = None,
    change: ChangeOption = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Fine-tune: begin with the weights of this training's folder, where they fit."),
    ] = None,
) -> None:
    """Trains a network and reports its test accuracy; the same command resumes a training that was killed.

    Under `torchrun` all its processes train together.

    Example: `uninas-evo train runs/my-search --data /usr/share/datasets/fashion-mnist`
    """
    from uninas_evo.compare.baselines import folder_of, winners
    from uninas_evo.engine.journal import FILE_NAME
    from uninas_evo.report.record import genome_id
    from uninas_evo.spaces.load import load_space
    from uninas_evo.training import load_protocol, read_splits
    from uninas_evo.training.genomes import train_in_space
    from uninas_evo.training.process import process_group

    is_run = (Path(source) / FILE_NAME).is_file()
    if is_run:
        space, (genome,) = winners(source, 1)
    else:
        space, genome = load_space(source)
    settings = load_protocol(protocol).replace(
        **changes(change or [], threads), **({} if start is None else {"start_from": str(start)})
    )
    text = space.encode(genome)
    kept = folder_of(Path(source) / "train", "winner 1", text, seed) if is_run else None
    folder = out or kept or Path("trained") / genome_id(text) / f"seed-{seed}"
    with process_group(device) as process, _progress(settings.epochs, process.first) as progress:
        splits = read_splits(data, settings.val_fraction)
        result = train_in_space(
            space,
            genome,
            splits,
            settings,
            folder,
            seed=seed,
            process=process,
            workers=workers,
            progress=progress,
            say=_say,
        )
        if process.first:
            print(f"test accuracy {result.test_accuracy:.2%}")
            if result.test_f1 is not None:
                area = "" if result.test_auc is None else f", area under the ROC curve {result.test_auc:.4f}"
                print(f"test F1       {result.test_f1:.4f}{area}")
            print(f"validation    {result.val_accuracy:.2%} (epoch {result.best_epoch} of {settings.epochs})")
            print(f"params        {result.params:,}")
            print(f"trained in    {result.seconds:.0f} s, {result.images_per_s:.0f} images/s")
            print(f"folder        {folder}")


def changes(settings: list[str], threads: int | None) -> dict[str, Any]:
    """The settings of a protocol that options change."""
    from uninas_evo.config.runfile import apply_setting

    content: dict[str, Any] = {}
    for setting in settings:
        apply_setting(content, setting)
    return content if threads is None else content | {"threads": threads}


@contextmanager
def _progress(epochs: int, shown: bool) -> Iterator[Callable[[Mapping[str, float]], None] | None]:
    """A bar on a terminal's stderr, and a line an epoch."""
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, markup=False)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=epochs)

        def tell(line: Mapping[str, float]) -> None:
            if "val_accuracy" not in line:
                done = line["epoch"] - 1 + line["step"] / line["steps"]
                bar.update(task, completed=done, description=f"epoch {line['epoch']:.0f} loss {line['loss']:.3f}")
                return
            bar.console.print(
                f"epoch {line['epoch']:.0f}/{epochs}: loss {line['loss']:.3f}, validation {line['val_accuracy']:.2%}, "
                f"{line['images_per_s']:.0f} images/s, {line['seconds']:.0f} s",
                highlight=False,
            )

        yield tell


def _say(line: str) -> None:
    typer.echo(line, err=True)
