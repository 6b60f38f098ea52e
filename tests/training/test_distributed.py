"""Several processes: two gloo processes train as one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.training.batches import eval_plans, training_plans


def test_processes_share_every_batch() -> None:
    """Over the processes each batch holds the images of one process alone; evaluation covers every image once."""
    alone = training_plans(50, 8, seed=3, epoch=1)
    shared = [training_plans(50, 8, 3, 1, rank, 2) for rank in range(2)]
    assert len(alone) == 6
    for whole, *parts in zip(alone, *shared, strict=True):
        assert sorted(whole.indices) == sorted(parts[0].indices + parts[1].indices)
        assert parts[0].key != parts[1].key
    seen = [i for rank in range(3) for task in eval_plans(1000, rank, 3) for i in task.indices]
    assert sorted(seen) == list(range(1000))
    assert training_plans(50, 8, 3, 2)[0].indices != alone[0].indices


def start(processes: int, *command: str) -> list[str]:
    """Runs a command in as many processes as asked, set up as `torchrun` does; returns what they print."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, *command],
            env=shared | {"WORLD_SIZE": str(processes), "RANK": str(r), "LOCAL_RANK": str(r)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for r in range(processes)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=300) for process in started]
    assert [p.returncode for p in started] == [0] * processes, outputs
    return [out for out, _ in outputs]


SCRIPT = """
import sys, torch
from uninas_evo.training import Protocol, read_splits, train
from uninas_evo.training.process import process_group
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(392, 3))
protocol = Protocol(epochs=2, batch_size=16, lr=0.02, optimizer="sgd", clip_grad=1.0, ema_decay=0.5)
with process_group() as process:
    result = train(network, read_splits(sys.argv[1], 0.2), protocol, sys.argv[2], image_size=16, process=process)
    print(process.rank, result.val_accuracy, result.test_accuracy)
"""


@pytest.fixture
def data(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (80, 16, 16), dtype=np.uint8), np.arange(80) % 3
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images[:31], y_test=labels[:31])
    return str(tmp_path / "data.npz")


@pytest.mark.slow
def test_two_processes_train_as_one(data: str, tmp_path: Path) -> None:
    """Two gloo processes with half of each batch give the weights of one with the whole, and both know the result."""
    (alone,) = start(1, "-c", SCRIPT, data, str(tmp_path / "one"))
    both = start(2, "-c", SCRIPT, data, str(tmp_path / "two"))
    one, two = (torch.load(tmp_path / n / "best.pt", weights_only=True)["network"] for n in ("one", "two"))
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[key], two[key], atol=1e-5) for key in one)
    assert [out.split()[1:] for out in both] == [alone.split()[1:]] * 2
    assert [out.split()[0] for out in both] == ["0", "1"]
    losses = [json.loads((tmp_path / n / "metrics.jsonl").read_text().splitlines()[1])["loss"] for n in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.slow
def test_the_command_runs_in_several_processes(data: str, tmp_path: Path) -> None:
    """`uninas-evo train` joins the processes that `torchrun` starts; the first one alone writes and prints."""
    skeleton = Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(32, 32), depths=(1, 1))
    (tmp_path / "genome.txt").write_text(preset("coatnet", skeleton).text)
    outputs = start(
        2, "-c", "from uninas_evo.cli import main; main()", "train", str(tmp_path / "genome.txt"), "--data", data,
        "--out", str(tmp_path / "out"), "--device", "cpu", "--set", "epochs=2", "--set", "batch_size=16",
    )  # fmt: skip
    assert [out.startswith("test accuracy") for out in outputs] == [True, False]
    assert outputs[1] == ""
    assert json.loads((tmp_path / "out" / "training.json").read_text())["processes"] == 2
    assert (tmp_path / "out" / "weights.safetensors").is_file()
