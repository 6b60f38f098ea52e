"""The commands train, handover and export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import uninas_evo
from uninas_evo.cli import app
from uninas_evo.engine.events import AskEvent, Header, Measured, ResultEvent
from uninas_evo.engine.journal import Journal
from uninas_evo.spaces.uninas import Genome, Skeleton, preset

GENOME = preset("resnet", Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(32,), depths=(1,)))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data, a protocol, a genome's file and a run."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 256, (60, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images[:30], y_test=labels[:30])
    (tmp_path / "tiny.toml").write_text('base = "small"\nepochs = 2\nbatch_size = 16\nval_fraction = 0.2\n')
    (tmp_path / "genome.txt").write_text(GENOME.text)
    write_run(tmp_path / "run", GENOME, {"data": "data.npz", "protocol": "tiny.toml", "presets": [], "random": 1})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_run(folder: Path, genome: Genome, train: dict[str, object]) -> None:
    folder.mkdir()
    journal = Journal(folder / "journal.jsonl")
    run = {"problem": {"name": "uninas"}, "train": train}
    journal.append(Header(run=run, seed=0, objectives={"x": "maximize"}, versions={}, host={}, started="now"))
    journal.append(AskEvent(number=0, genome=genome.text, origin="start", costs=dict(genome.cost.items())))
    measured = Measured(seconds=1, device="cpu", worker=0, at=0)
    journal.append(ResultEvent(number=0, values={"x": 1.0}, measured=measured))
    journal.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_train_a_genome_then_export_it(here: Path) -> None:
    """A genome's file is trained into the folder told, loaded back, and exported beside its weights."""
    done = run(
        "train", "genome.txt", "--data", "data.npz", "--protocol", "tiny.toml", "--out", "out", "--device", "cpu"
    )
    assert done.exit_code == 0, done.output
    result = json.loads((here / "out" / "result.json").read_text())
    assert f"test accuracy {result['test_accuracy']:.2%}" in done.stdout
    assert f"test F1       {result['test_f1']:.4f}" in done.stdout
    assert "epoch 2/2" in done.stderr
    assert uninas_evo.load(here / "out").genome == GENOME
    done = run("export", "out", "--to", "torch")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(Path("out") / "network.pt2")
    assert (here / "out" / "network.pt2").is_file()


def test_train_the_best_of_a_run(here: Path) -> None:
    """Given a run folder, its winner is trained where the handover looks for it; settings can be changed."""
    settings = ["--data", "data.npz", "--protocol", "tiny.toml", "--device", "cpu", "--set", "epochs=3"]
    assert run("train", "run", *settings, "--set", "warmup_epochs=2").exit_code == 0
    folder = here / "run" / "train" / f"winner-1-{GENOME.id}" / "seed-0"
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 3
    assert json.loads((folder / "training.json").read_text())["protocol"]["warmup_epochs"] == 2
    (here / "other.npz").write_bytes((here / "data.npz").read_bytes())
    assert run("train", "run", "--data", "other.npz", *settings[2:]).exit_code == 0
    assert (here / "run" / "train-other" / f"winner-1-{GENOME.id}" / "seed-0").is_dir(), "beside the run file's data"


def test_handover_follows_the_run_files_table(here: Path) -> None:
    """What [train] says is done without options; options change it; the table is printed alone on stdout."""
    done = run("handover", "run", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert done.stdout == (here / "run" / "train" / "table.md").read_text()
    assert [line.split("|")[1].strip() for line in done.stdout.splitlines()[2:]] == ["winner 1", "random 1"]
    done = run("handover", "run", "--random", "0", "--device", "cpu")
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "genome.txt", "--data", "nowhere"), "there is no data at 'nowhere'"),
        (("train", "genome.txt", "--data", "data.npz", "--protocol", "big"), "there is no protocol 'big'"),
        (
            ("train", "genome.txt", "--data", "data.npz", "--set", "epoch=3"),
            "epoch: there is no such field, got 3",
        ),
        (("train", "coatnet", "--data", "data.npz"), "the data has 3 classes and the network 1000"),
        (("train", "genome.txt", "--data", "data.npz", "--protocol", "imagenet"), "made for images of 16 px"),
        (("handover", "bare"), "train.data: this field is needed and is missing"),
        (("handover", "nowhere"), "name the folder that `uninas-evo run` wrote"),
        (("export", "run"), "there are no trained weights"),
    ],
)
def test_mistakes_are_one_message(here: Path, arguments: tuple[str, ...], message: str) -> None:
    """A user's mistake is one message on stderr and exit code 2, before any epoch."""
    write_run(here / "bare", GENOME, {})
    done = run(*arguments, *(("--device", "cpu") if arguments[0] == "train" else ()))
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert message in " ".join(done.stderr.split())
