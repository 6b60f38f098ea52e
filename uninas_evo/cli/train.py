"""`uninas-evo train`: trains a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from uninas_evo.cli._app import app
from uninas_evo.cli._genomes import is_run, space_and_genome

DataOption = Annotated[
    str,
    typer.Option(
        help="A folder with train/ and val/ of one folder a class, one with labels.csv or IDX files, or an .npz file; "
        "for detection a COCO or VOC folder, for segmentation one of images/ and annotations/."
    ),
]
ProtocolOption = Annotated[
    str | None, typer.Option(help="imagenet, small, coco, ade20k, ..., or a TOML file's path; by default the task's.")
]
TaskOption = Annotated[
    str | None,
    typer.Option(help="classification, multilabel, regression, detection or segmentation; by default the protocol's."),
]
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
    task: TaskOption = None,
    protocol: ProtocolOption = None,
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

    With --task it is the backbone of a detector or a segmentation network, and the report its AP or mean IoU.
    Under `torchrun` all its processes train together.

    Example: `uninas-evo train runs/my-search --data /usr/share/datasets/fashion-mnist`
    """
    from uninas_evo.compare.baselines import folder_of, training_root
    from uninas_evo.report.record import genome_id
    from uninas_evo.training.genomes import train_in_space
    from uninas_evo.training.process import process_group
    from uninas_evo.training.protocol import protocol_for
    from uninas_evo.training.tasks import task_class

    space, genome = space_and_genome(source)
    settings = protocol_for(task, protocol).replace(
        **changes(change or [], threads), **({} if start is None else {"start_from": str(start)})
    )
    text = space.encode(genome)
    kind = task_class(settings.task)
    root = "trained" if settings.task == "classification" else f"trained-{settings.task}"
    kept = folder_of(training_root(source, settings.task, data), "winner 1", text, seed) if is_run(source) else None
    folder = out or kept or Path(root) / genome_id(text) / f"seed-{seed}"
    with process_group(device) as process, _progress(settings.epochs, process.first, kind.metric) as progress:
        read = kind.read(data, settings)
        result = train_in_space(
            space,
            genome,
            read,
            settings,
            folder,
            seed=seed,
            process=process,
            workers=workers,
            progress=progress,
            say=_say,
        )
        if process.first:
            lines = {f"test {label(name)}": told(value, name == result.metric) for name, value in result.tested.items()}
            lines |= {
                "validation": f"{result.validated:.2%} (epoch {result.best_epoch} of {settings.epochs})",
                "params": f"{result.params:,}",
                "trained in": f"{result.seconds:.0f} s, {result.images_per_s:.0f} images/s",
                "folder": str(folder),
            }
            width = max(map(len, lines))
            for name, line in lines.items():
                print(f"{name:<{width}} {line}")


def label(metric: str) -> str:
    """What a metric is called for people."""
    words = {
        "f1": "F1",
        "auc": "AUC",
        "miou": "mean IoU",
        "map": "mAP",
        "r2": "R²",
        "mae": "MAE",
        "ap": "AP",
        "ap50": "AP50",
        "ap75": "AP75",
    }
    return " ".join(words.get(word, word) for word in metric.split("_"))


def told(value: float | None, main: bool) -> str:
    """A metric's value for people, the one that chose the epoch in percent."""
    return "undefined" if value is None else f"{value:.2%}" if main else f"{value:.4f}"


def changes(settings: list[str], threads: int | None) -> dict[str, Any]:
    """The settings of a protocol that options change."""
    from uninas_evo.config.runfile import apply_setting

    content: dict[str, Any] = {}
    for setting in settings:
        apply_setting(content, setting)
    return content if threads is None else content | {"threads": threads}


@contextmanager
def _progress(epochs: int, shown: bool, metric: str) -> Iterator[Callable[[Mapping[str, float]], None] | None]:
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
            if f"val_{metric}" not in line:
                done = line["epoch"] - 1 + line["step"] / line["steps"]
                bar.update(task, completed=done, description=f"epoch {line['epoch']:.0f} loss {line['loss']:.3f}")
                return
            bar.console.print(
                f"epoch {line['epoch']:.0f}/{epochs}: loss {line['loss']:.3f}, validation {line[f'val_{metric}']:.2%}, "
                f"{line['images_per_s']:.0f} images/s, {line['seconds']:.0f} s",
                highlight=False,
            )

        yield tell


def _say(line: str) -> None:
    typer.echo(line, err=True)
