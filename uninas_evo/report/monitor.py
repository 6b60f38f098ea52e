"""A run's journal as events for tools that people watch trainings with: TensorBoard, MLflow, Weights & Biases.

They are fed from the journal, by a process of their own: a search never waits for them nor fails with them, and a run
that has ended is written as one that goes on.
"""

from __future__ import annotations

import datetime
import importlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from uninas_evo.contracts import Objective
from uninas_evo.engine.events import AskEvent, Event, Header, Note, ResultEvent
from uninas_evo.engine.journal import stream
from uninas_evo.errors import MissingExtraError

POLL_S = 5.0
"""Between two looks at the journal of a run that goes on: trainings take seconds, and reading it milliseconds."""


class Tracker(Protocol):
    """Where a run is written to."""

    def began(self, name: str, settings: Mapping[str, Any]) -> None:
        """Takes the run's name and its settings, nested ones by names with dots."""

    def scored(self, step: int, at: float, values: Mapping[str, float]) -> None:
        """Takes the values of an evaluation, which are counted from 1, and when it ended in seconds since 1970."""

    def ended(self) -> None:
        """Nothing more comes."""


def events(folder: Path, follow: bool = False, wait: Callable[[float], None] = time.sleep) -> Iterator[Event]:
    """The events of a run, and with `follow` those that are still to come, until it ends.

    Raises:
        JournalError: the folder holds no journal, or a damaged one.
    """
    seen, last = 0, None
    while True:
        for number, event in enumerate(stream(folder)):
            if number >= seen:
                seen, last = number + 1, event
                yield event
        if not follow or (isinstance(last, Note) and last.kind in ("finished", "interrupted", "exhausted")):
            return
        wait(POLL_S)


def monitor(folder: Path, tracker: Tracker, follow: bool = False) -> int:
    """Writes a run to a tracker; the number of evaluations that were written.

    Each evaluation has its values (at a cheaper fidelity under `NAME/fidelity0`, ...), its costs, the seconds that it
    took, its number as `candidate`, and the best of each objective so far at the full fidelity. Failures
    have no values.

    Raises:
        JournalError: the folder holds no journal, or a damaged one.
    """
    asks: dict[int, AskEvent] = {}
    objectives: list[Objective] = []
    best: dict[str, float] = {}
    began, step = 0.0, 0
    try:
        for event in events(folder, follow):
            if isinstance(event, Header):
                objectives = [Objective(name, goal) for name, goal in event.objectives.items()]
                began = datetime.datetime.fromisoformat(event.started).timestamp()
                tracker.began(folder.absolute().name, dict(flattened({"seed": event.seed, **event.run})))
            elif isinstance(event, AskEvent):
                asks[event.number] = event
            elif isinstance(event, ResultEvent):
                step += 1
                ask, values = asks[event.number], event.values or {}
                for one in objectives if ask.fidelity is None else ():
                    value = values.get(one.name, math.nan)
                    if one.better(value, best.get(one.name, -one.sign * math.inf)):
                        best[one.name] = value
                rung = "" if ask.fidelity is None else f"/fidelity{ask.fidelity}"
                tracker.scored(
                    step,
                    began + event.measured.at,
                    {f"{name}{rung}": value for name, value in values.items()}
                    | {f"cost/{name}": float(value) for name, value in ask.costs.items()}
                    | {f"best/{name}": value for name, value in best.items()}
                    | {"seconds": event.measured.seconds, "candidate": float(event.number)},
                )
    finally:
        tracker.ended()
    return step


def flattened(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested tables as names with dots."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


class TensorBoard:
    """Event files, as `tensorboard --logdir` reads them.

    Args:
        out: their folder.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """

    def __init__(self, out: Path) -> None:
        _need("tensorboard")
        self.writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(out))

    def began(self, name: str, settings: Mapping[str, Any]) -> None:
        """The settings become a table of text."""
        rows = [f"| {key} | {str(value).replace('|', ' ')} |" for key, value in settings.items()]
        self.writer.add_text("run", "\n".join([f"| {name} | |", "|---|---|", *rows]))

    def scored(self, step: int, at: float, values: Mapping[str, float]) -> None:
        """Each value becomes a point of its curve."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step, walltime=at)

    def ended(self) -> None:
        """Closes the files."""
        self.writer.close()


class MLflow:
    """A run of MLflow's experiment "uninas-evo".

    Args:
        out: the folder of its file store; a server is set by MLFLOW_TRACKING_URI, which wins.

    Raises:
        MissingExtraError: mlflow is not installed.
    """

    def __init__(self, out: Path) -> None:
        import os

        self.mlflow = _need("mlflow")
        self.mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{out.absolute()}/mlflow.db")
        out.mkdir(parents=True, exist_ok=True)

    def began(self, name: str, settings: Mapping[str, Any]) -> None:
        """Settings become parameters of the run, cut to what it takes."""
        self.mlflow.set_experiment("uninas-evo")
        self.mlflow.start_run(run_name=name)
        self.mlflow.log_params({key: str(value)[:500] for key, value in settings.items()})

    def scored(self, step: int, at: float, values: Mapping[str, float]) -> None:
        """Values become metrics."""
        self.mlflow.log_metrics(dict(values), step=step)

    def ended(self) -> None:
        """Ends the run."""
        self.mlflow.end_run()


class WeightsAndBiases:
    """An offline run, which `wandb sync` sends where one likes.

    Args:
        out: its folder.

    Raises:
        MissingExtraError: wandb is not installed.
    """

    def __init__(self, out: Path) -> None:
        self.wandb, self.out = _need("wandb"), out
        out.mkdir(parents=True, exist_ok=True)

    def began(self, name: str, settings: Mapping[str, Any]) -> None:
        """Settings become the run's configuration."""
        self.run = self.wandb.init(
            mode="offline", dir=str(self.out), project="uninas-evo", name=name, config=dict(settings)
        )

    def scored(self, step: int, at: float, values: Mapping[str, float]) -> None:
        """One line of its history."""
        self.run.log(dict(values), step=step)

    def ended(self) -> None:
        """Ends the run."""
        self.wandb.finish()


TRACKERS: dict[str, Callable[[Path], Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WeightsAndBiases,
}
"""By the names that the command takes."""


def _need(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(module, module) from error
