"""What only a GPU can show: scores as on the CPU, workers on devices, training in bfloat16, processes over NCCL."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_toy import Digits, ToyProblem

from uninas_evo.pool.contract import Job
from uninas_evo.pool.processes import ProcessPool
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.proxies import PROXIES, Inputs, score
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.network import build
from uninas_evo.training import Protocol, train_genome
from uninas_evo.training.images import ImageSet, make_splits
from uninas_evo.training.process import process_group

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="GPU: no CUDA device can be used here"),
    pytest.mark.xdist_group("gpu"),  # one process at a time holds the device
]
SMALL = Skeleton(image_size=32, classes=10, stem=(16, 16), channels=(32, 64), depths=(1, 1))
TOLERANCE = 1e-3
"""Relative difference of a score between devices: sums round differently, deciles move little by it."""
COINCIDENCES = {"zico": 0.05}
"""Where it may be greater: ZiCo divides by the difference of two gradients, so that weights where these are equal but
for rounding weigh most (157.3 on an H100, 161.7 on a CPU)."""


@pytest.mark.parametrize("name", PROXIES)
def test_scores_are_those_of_the_cpu(name: str) -> None:
    """Each proxy gives on the GPU what it gives on the CPU, within the tolerance of `uninas-evo verify`."""
    on_cpu = score(build(preset("coatnet", SMALL)), [name], Inputs(batch=16))
    on_gpu = score(build(preset("coatnet", SMALL)), [name], Inputs(batch=16, device="cuda"))
    assert on_gpu[name] == pytest.approx(on_cpu[name], rel=COINCIDENCES.get(name, TOLERANCE))


def test_a_search_gives_the_same_scores_with_two_workers_on_one_device() -> None:
    """Two processes on one card score as one does, bit for bit."""
    space = UninasSpace(preset("coatnet", SMALL))
    problem = UninasProblem(space, ["vkdnw"])
    jobs = [Job(number, preset(name, SMALL).text) for number, name in enumerate(("coatnet", "resnet", "vit"))]
    found = []
    for devices in (["cuda:0"], ["cuda:0", "cuda:0"]):
        with ProcessPool(problem, devices) as pool:
            found.append({done.job.number: done.values for done in pool.map(jobs)})
    assert found[0] == found[1]


def test_every_visible_device_gets_a_worker() -> None:
    """`devices = "auto"` starts one process a device, each with its own model's name."""
    from uninas_evo.pool.open import PoolOptions, open_pool

    with open_pool(PoolOptions(), ToyProblem()) as pool:
        assert len(pool.devices) == torch.cuda.device_count()
        assert all("cpu" not in name.lower() for name in pool.devices)


class Greedy(ToyProblem):
    """Wants more memory than any card has for genomes that begin with 9."""

    def evaluate(self, genome: Digits, device: str, **further: object) -> dict[str, float]:
        count = 10**13 if genome[0] == 9 else 10
        return {"sum": float(torch.ones(count, device=device).sum())}


def test_too_much_memory_of_the_card_fails_the_candidate_alone() -> None:
    """The worker lives on and scores the next one."""
    with ProcessPool(Greedy(), ["cuda:0"]) as pool:
        done = {one.job.number: one for one in pool.map([Job(0, "9" * 8), Job(1, "1" * 8)])}
    assert "out of memory" in (done[0].failure or "")
    assert done[1].values == {"sum": 10.0}


def test_training_in_bfloat16_and_channels_last(tmp_path: Path) -> None:
    """The settings of the ImageNet protocol train: losses are finite and the images are learned."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 3
    images = (rng.integers(0, 60, (240, 32, 32, 3)) + 90 * labels[:, None, None, None]).astype(np.uint8)
    data = ImageSet(images, labels)
    splits = make_splits(data, data, None, ("a", "b", "c"), 0.2)
    protocol = Protocol(epochs=3, batch_size=32, lr=3e-3, amp="bfloat16", channels_last=True)
    genome = preset("coatnet", Skeleton(32, 3, (16, 16), (32, 64), (1, 1)))
    with process_group("cuda") as process:
        result = train_genome(genome, splits, protocol, tmp_path, process=process)
    losses = [json.loads(line).get("loss", 0.0) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(map(math.isfinite, losses))
    assert result.test_accuracy > 0.9


SUM = """
import torch
from torch import distributed
from uninas_evo.training.process import process_group
with process_group("cuda") as process:
    total = torch.ones(1, device=process.device)
    distributed.all_reduce(total)
    assert distributed.get_backend() == "nccl" and total.item() == process.world
"""


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="GPU: NCCL needs a device for each of two processes")
def test_processes_talk_by_nccl(tmp_path: Path) -> None:
    """Under `torchrun` each process has a device of its own, and sums go over NCCL."""
    script = tmp_path / "sum.py"
    script.write_text(SUM)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
