"""Images per second of our training loop against timm's, on the same model, images, settings and threads.

    python tests/benchmarks/training.py [--model resnet18] [--images 640] [--script train.py]

timm's loop is made here of timm's own parts in the order of its `train.py`: its loader, then for each batch forward,
loss, backward, clipping, optimizer, average, schedule and reading the loss. With --script, the path of timm's
`train.py` itself, that is run too. Both loops decode and augment in the main process; rounds alternate. Images per
second of processor time are printed beside those of the clock: other programs on the machine disturb them less.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import timm
import timm.data
import timm.loss
import timm.optim
import timm.scheduler
import timm.utils
import torch
from conditions import conditions
from PIL import Image
from torch import nn

from uninas_evo.training import Protocol, read_splits, train

CLASSES, SIZE, BATCH = 4, 64, 32
AUGMENT = "rand-m9-mstd0.5"
PROTOCOL = Protocol(
    epochs=2, batch_size=BATCH, lr=1e-3, weight_decay=0.05, clip_grad=1.0, label_smoothing=0.1, ema_decay=0.999,
    scale=(0.08, 1.0), ratio=(0.75, 1.3333333), hflip=0.5, auto_augment=AUGMENT, val_fraction=0.01,
    channels_last=True,
)  # fmt: skip


def write_images(root: Path, images: int) -> None:
    """An image folder of noisy JPEG files of 96 px."""
    rng = np.random.default_rng(0)
    for part, count in (("train", images), ("val", CLASSES)):
        for i in range(count):
            folder = root / part / f"class{i % CLASSES}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((96, 96)).save(folder / f"{i}.jpg", quality=90)


def network(model: str) -> nn.Module:
    """The model, the same in both loops."""
    made: nn.Module = timm.create_model(model, num_classes=CLASSES)
    return made


def ours(model: str, data: Path, round_: int) -> tuple[float, float]:
    """Images per second of the clock and of the processor in the second epoch of our loop."""
    lines: list[float] = []
    used: list[float] = []  # at the end of the steps, then of the validation, of each epoch

    def note(line: Mapping[str, float]) -> None:
        if "images_per_s" in line:
            lines.append(line["images_per_s"])
        if line.get("step") in (None, line.get("steps")):
            used.append(time.process_time())

    splits = read_splits(data, PROTOCOL.val_fraction)
    train(network(model), splits, PROTOCOL, data / f"ours{round_}", image_size=SIZE, progress=note)
    steps = len(splits.train) // BATCH
    return lines[1], steps * BATCH / (used[2] - used[1])


def theirs(model: str, data: Path) -> tuple[float, float]:
    """Images per second of the clock and of the processor in the second epoch of timm's loop, made of its parts."""
    net = network(model).to(memory_format=torch.channels_last)
    dataset = timm.data.create_dataset("", root=str(data / "train"))
    loader = timm.data.create_loader(
        dataset, input_size=(3, SIZE, SIZE), batch_size=BATCH, is_training=True, use_prefetcher=False, num_workers=0,
        auto_augment=AUGMENT, interpolation="bicubic", device=torch.device("cpu"), persistent_workers=False,
    )  # fmt: skip
    optimizer = timm.optim.create_optimizer_v2(net, opt="adamw", lr=1e-3, weight_decay=0.05)
    schedule, _ = timm.scheduler.create_scheduler_v2(
        optimizer, num_epochs=2, step_on_epochs=False, updates_per_epoch=len(loader)
    )
    loss_of, average = timm.loss.LabelSmoothingCrossEntropy(0.1), timm.utils.ModelEmaV3(net, decay=0.999)
    meter, speeds = timm.utils.AverageMeter(), (0.0, 0.0)
    for epoch in range(2):
        net.train()
        start, used = time.perf_counter(), time.process_time()
        for step, (images, labels) in enumerate(loader):
            loss = loss_of(net(images.contiguous(memory_format=torch.channels_last)), labels)
            optimizer.zero_grad()
            loss.backward()
            timm.utils.dispatch_clip_grad(net.parameters(), 1.0)
            optimizer.step()
            average.update(net, step=epoch * len(loader) + step + 1)
            schedule.step_update(epoch * len(loader) + step + 1)
            meter.update(loss.item(), len(images))
        images_seen = len(loader) * BATCH
        speeds = images_seen / (time.perf_counter() - start), images_seen / (time.process_time() - used)
    return speeds


def script(path: str, model: str, data: Path) -> float:
    """Images per second that timm's own script reports at the end of its second epoch."""
    command = [
        sys.executable, path, "--data-dir", str(data), "--model", model, "--num-classes", str(CLASSES),
        "--img-size", str(SIZE), "-b", str(BATCH), "--epochs", "2", "--cooldown-epochs", "0", "--opt", "adamw",
        "--lr", "1e-3", "--weight-decay", "0.05", "--clip-grad", "1", "--smoothing", "0.1", "--model-ema",
        "--model-ema-decay", "0.999", "--aa", AUGMENT, "--train-interpolation", "bicubic", "--warmup-epochs", "0",
        "--sched-on-updates", "--workers", "0", "--no-prefetcher", "--device", "cpu", "--channels-last",
        "--log-interval", "1000", "--output", str(data / "timm"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.findall(r"Train: 1 .*\(\s*[\d.]+s,\s*([\d.]+)/s\)", done.stdout + done.stderr)
    if not found:
        raise SystemExit(f"{path} printed no speed:\n{done.stderr[-2000:]}")
    return float(found[-1])


def main() -> None:
    """Prints the median speeds over the rounds and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--images", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--script", help="path of timm's train.py, to run it too")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(conditions())
    speeds: dict[str, list[tuple[float, float]]] = {"ours": [], "timm's parts": []}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        write_images(data, given.images)
        for round_ in range(given.rounds):
            speeds["ours"].append(ours(given.model, data, round_))
            speeds["timm's parts"].append(theirs(given.model, data))
            if given.script:
                speeds.setdefault("timm's train.py", []).append((script(given.script, given.model, data), math.nan))
    print(f"{given.model}, {SIZE} px, batches of {BATCH}, {given.threads} threads, median of {given.rounds} rounds")
    medians = {name: [statistics.median(v) for v in zip(*values, strict=True)] for name, values in speeds.items()}
    for name, (wall, cpu) in medians.items():
        base_wall, base_cpu = medians["ours"]
        print(
            f"{name:16} {wall:8.1f} images/s (ours / this: {base_wall / wall:.3f})"
            f" {cpu:8.1f} a processor second (ours / this: {base_cpu / cpu:.3f})"
        )


if __name__ == "__main__":
    main()
