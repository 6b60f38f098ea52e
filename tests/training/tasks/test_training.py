"""Detection and segmentation are trained by the loop of classification: folder, resume, processes, weights."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from training.test_distributed import start
from typer.testing import CliRunner

import uninas_evo
from uninas_evo.cli import app
from uninas_evo.compare.train_and_compare import Entrant, compare
from uninas_evo.errors import TrainingError
from uninas_evo.scoring.subject import GenomeSubject
from uninas_evo.scoring.training import TrainScorer
from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.load import resized
from uninas_evo.spaces.uninas.network import build
from uninas_evo.training import fit
from uninas_evo.training.checkpoint import load_tensors
from uninas_evo.training.formats import export, save_weights
from uninas_evo.training.genomes import headed, train_genome
from uninas_evo.training.options import TrainOptions
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.tasks import task_class
from uninas_evo.training.tasks.task import Setting

CPU = Process(torch.device("cpu"))
TASKS = ("detection", "segmentation")


def protocol_of(task: str, request: pytest.FixtureRequest) -> Protocol:
    found: Protocol = request.getfixturevalue(task)
    return found


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else bool(a == b)


class Killed(Exception):
    pass


@pytest.mark.parametrize("task", TASKS)
def test_killed_ten_times_is_exact(
    task: str, genome: Genome, scenes: Path, tmp_path: Path, request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed ten times at random steps, a training ends with the weights and metrics of one that was not."""
    protocol = protocol_of(task, request)
    data = task_class(task).read(scenes, protocol)
    whole = train_genome(genome, data, protocol, tmp_path / "whole")
    step, rng, life = fit.Fit._step, random.Random(task), [0]

    def dying(self: Any, batch: Any) -> Any:
        life[0] -= 1
        if life[0] == 0:
            raise Killed
        return step(self, batch)

    monkeypatch.setattr(fit.Fit, "_step", dying)
    for _ in range(10):
        life[0] = rng.randint(1, 9)  # an epoch has nine steps
        with pytest.raises(Killed):
            train_genome(genome, data, protocol, tmp_path / "cut")
    life[0] = 0
    again = train_genome(genome, data, protocol, tmp_path / "cut")
    assert again.tested == whole.tested
    for name in ("last.pt", "best.pt"):
        one, other = (load_tensors(tmp_path / folder / name) for folder in ("whole", "cut"))
        for content in (one, other):
            for line in content.get("history", ()):
                line["seconds"] = line["images_per_s"] = 0
        assert same(one, other)
    assert (tmp_path / "whole" / "data.txt").read_text() == (tmp_path / "cut" / "data.txt").read_text()


@pytest.mark.parametrize("task", TASKS)
def test_what_is_trained_comes_back(task: str, genome: Genome, scenes: Path, tmp_path: Path, request: Any) -> None:
    """`load` gives backbone and head with the same outputs; the folder is refused to another task."""
    protocol = protocol_of(task, request).replace(epochs=1)
    kind = task_class(task)
    data = kind.read(scenes, protocol)
    result = train_genome(genome, data, protocol, tmp_path)
    assert result.metric == kind.metric
    assert all(value is None or 0 <= value <= 1 for value in result.tested.values())
    loaded = uninas_evo.load(tmp_path)
    assert loaded.preparation.classes == data.classes
    assert loaded.genome == genome
    setting = Setting(protocol, (3, 64, 64), CPU)
    assert kind(data, setting).test(loaded) == result.tested
    content = json.loads((tmp_path / "result.json").read_text())
    assert content[f"test_{kind.metric}"] == result.value
    other = protocol_of(TASKS[task == TASKS[0]], request)
    with pytest.raises(TrainingError, match="holds a training with another data and protocol"):
        train_genome(genome, task_class(other.task).read(scenes, other), other, tmp_path)


@pytest.mark.parametrize("task", TASKS)
def test_the_loss_falls(task: str, genome: Genome, scenes: Path, request: Any) -> None:
    """On one batch, over a few steps, by more than a quarter."""
    protocol = protocol_of(task, request).replace(hflip=0.0, warmup_steps=0, epochs=100, lr=3e-3)
    data = task_class(task).read(scenes, protocol)
    one = fit.Fit(headed(build(genome), data, protocol, 0), data, protocol, 32, 0, CPU)
    plans = [fit.training_plans(one.task.count, 4, 0, 0)[0]]
    (batch,) = one.task.training(plans)
    one.model.train()
    losses = [float(one._step(batch)) for _ in range(12)]
    assert losses[-1] < 0.75 * losses[0]


def test_an_images_loss_is_its_own(genome: Genome, scenes: Path, detection: Protocol) -> None:
    """The loss of a batch is the mean of those of its images alone, with frozen norms: so processes change nothing."""
    protocol = detection.replace(frozen_norms=True, hflip=0.0)
    data = task_class("detection").read(scenes, protocol)
    one = fit.Fit(headed(build(genome), data, protocol, 0), data, protocol, 32, 0, CPU)
    one.model.train()
    (batch,) = one.task.training([fit.training_plans(one.task.count, 4, 0, 0)[0]])
    whole = one.task.loss(one.model, batch).item()
    parts = [one.task.loss(one.model, tuple(part[i : i + 1] for part in batch)).item() for i in range(4)]
    assert whole == pytest.approx(sum(parts) / 4, rel=1e-5)


def test_backbones_start_from_a_classification(
    genome: Genome, scenes: Path, detection: Protocol, tmp_path: Path
) -> None:
    """Also of another image size, whose bias tables are interpolated; told are those, what is drawn anew and left."""
    vit = resized(preset("vit", Skeleton(32, 10, (8, 8), (32, 32), (1, 1))), 32, 5)
    trained = build(vit, 1)
    save_weights(trained, tmp_path, UninasSpace(vit), vit)
    larger, told = build(resized(vit, 128, 10), 2), list[str]()
    data = task_class("detection").read(scenes, detection)
    network = headed(larger, data, detection.replace(start_from=str(tmp_path)), 0, told.append)
    assert "of which stages.0.0.chain1.nodes.0" in told[0]
    assert "drawn anew: head.weight, head.bias; left: head.weight, head.bias" in told[0]
    assert torch.equal(network.backbone.network.stem[0].weight, trained.stem[0].weight)
    assert not network.backbone.network.head.weight.requires_grad


@pytest.mark.slow
def test_segmentation_networks_and_backbones_are_exported(
    genome: Genome, scenes: Path, segmentation: Protocol, detection: Protocol, tmp_path: Path
) -> None:
    """ONNX files that give our outputs; a detector with its heads says that it is not exported."""
    import onnxruntime

    data = task_class("segmentation").read(scenes, segmentation)
    network = headed(build(genome), data, segmentation, 0).eval()
    network.preparation = None
    (file,) = export(network, tmp_path, ["onnx"])
    images = torch.randn(2, 3, 64, 64)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": images.numpy()})
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(logits), network(images), atol=1e-4)
    (file,) = export(network, tmp_path, ["onnx"], maps=True)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == ["map4", "map8", "map16"]
    assert file.name == "backbone.onnx"
    found = task_class("detection").read(scenes, detection)
    with pytest.raises(TrainingError, match="a detector is not exported: how many boxes it gives depends on the image"):
        export(headed(build(genome), found, detection, 0), tmp_path)


SCRIPT = """
import sys
from uninas_evo.spaces.uninas import load_genome
from uninas_evo.training.genomes import train_genome
from uninas_evo.training.process import process_group
from uninas_evo.training.protocol import load_protocol
from uninas_evo.training.tasks import task_class

genome, data, out = sys.argv[1:]
small = {"epochs": 1, "batch_size": 4, "frozen_norms": True, "warmup_steps": 0, "lr": 1e-4}
heads = {"detection": {"width": 16, "hidden": 32, "proposals": 30}, "segmentation": {"width": 16}}
with process_group("cpu") as process:
    for task, head in heads.items():
        protocol = load_protocol(f"{task}-small").replace(**small, **{task: head})
        read = task_class(task).read(data, protocol)
        train_genome(load_genome(genome), read, protocol, f"{out}/{task}", process=process)
"""


@pytest.mark.slow
def test_two_processes_train_as_one(genome: Genome, scenes: Path, tmp_path: Path) -> None:
    """Two gloo processes with half of each batch give the losses and metrics of one, to 1e-4."""
    (tmp_path / "genome.txt").write_text(genome.text)
    for processes in (1, 2):
        start(processes, "-c", SCRIPT, str(tmp_path / "genome.txt"), str(scenes), str(tmp_path / str(processes)))
    for task in TASKS:
        one, two = (json.loads((tmp_path / n / task / "metrics.jsonl").read_text()) for n in ("1", "2"))
        results = [json.loads((tmp_path / n / task / "result.json").read_text()) for n in ("1", "2")]
        assert one["loss"] == pytest.approx(two["loss"], abs=1e-4)
        metrics = [{k: v for k, v in r.items() if k.startswith("test_") and v is not None} for r in results]
        assert metrics[0] == pytest.approx(metrics[1], abs=1e-4)


def test_the_command(genome: Genome, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`train --task` takes the task's small protocol, folder and report; mistakes are one message."""
    monkeypatch.chdir(tmp_path)
    Path("genome.txt").write_text(genome.text)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["train", "genome.txt", "--data", str(scenes), "--device", "cpu", *arguments])

    small = ("--set", "epochs=1", "--set", "segmentation.width=16", "--set", "image_size=64")
    done = run("--task", "segmentation", *small)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("test mean IoU")
    assert Path("trained-segmentation", genome.id, "seed-0", "weights.safetensors").is_file()
    for arguments, message in (
        (
            ("--task", "tracking"),
            "there is no task 'tracking'; use one of classification, multilabel, regression, detection, segmentation",
        ),
        (("--task", "detection", "--protocol", "small"), "is of classification and the task is detection"),
        (("--task", "detection", "--set", "mixup=0.2"), "mixup, cutmix and label_smoothing are for classification"),
        (("--task", "detection", "--set", "schedule=multistep"), "multistep decays at the epochs of decay_at"),
        (("--task", "segmentation", "--set", "segmentation.width=24"), "width must be a multiple of 16, got 24"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2
        assert message in " ".join(done.stderr.split())


def test_a_search_may_maximize_what_the_backbone_is_used_for(
    genome: Genome, scenes: Path, tmp_path: Path, segmentation: Protocol
) -> None:
    """The objective `train` with a task gives its validation metric, equal for equal seeds."""
    text = 'base = "segmentation-small"\nimage_size = 64\nbatch_size = 4\n[segmentation]\nwidth = 16\n'
    (tmp_path / "p.toml").write_text(text)
    scorer = TrainScorer(data=str(scenes), protocol=str(tmp_path / "p.toml"), task="segmentation", epochs=1, images=32)
    space = UninasSpace(genome)
    values = [scorer.score(GenomeSubject(genome, space), "cpu")["train"] for _ in range(2)]
    assert values[0] == values[1]
    assert 0 <= values[0] <= 1
    with pytest.raises(TrainingError, match="is of segmentation and the task is detection"):
        TrainScorer(data=str(scenes), protocol=str(tmp_path / "p.toml"), task="detection")


def test_winners_are_compared_by_a_task(genome: Genome, scenes: Path, tmp_path: Path, segmentation: Protocol) -> None:
    """The table is of the task's metric, and with one seed has leads without intervals."""
    entrants = [Entrant("winner 1", genome), Entrant("random 1", preset("efficientnet", genome.skeleton))]
    protocol = segmentation.replace(epochs=1)
    data = task_class("segmentation").read(scenes, protocol)
    options = TrainOptions(data=str(scenes), task="segmentation", device="cpu")
    rows = compare(UninasSpace(genome), entrants, data, protocol, tmp_path, options)
    text = (tmp_path / "table.md").read_text()
    assert "| mean IoU (1 seed) |" in text
    assert rows[1].gap is not None
    assert rows[1].gap_low is None
