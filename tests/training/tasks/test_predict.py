"""Drawings of what a network finds: one PNG an image, with boxes, masks and names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.spaces.uninas import Genome, UninasSpace
from uninas_evo.spaces.uninas.network import build
from uninas_evo.training.formats import save_weights
from uninas_evo.training.genomes import headed
from uninas_evo.training.tasks import task_class


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_images_are_drawn(task: str, genome: Genome, scenes: Path, tmp_path: Path, request: Any) -> None:
    """Under the images' names, in color; a segmentation's drawing is higher by a line a class."""
    protocol = request.getfixturevalue(task)
    data = task_class(task).read(scenes, protocol)
    network = headed(build(genome), data, protocol, 0)
    save_weights(network, tmp_path / "net", UninasSpace(genome), genome, protocol, data.classes)
    out = tmp_path / "out"
    done = CliRunner().invoke(
        app, ["predict", str(tmp_path / "net"), str(scenes / "images" / "test"), "--out", str(out), "--score", "0",
              "--device", "cpu"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    files = sorted(out.glob("*.png"))
    assert [file.name for file in files] == [f"{i:05}.png" for i in range(6)]
    with Image.open(files[0]) as image, Image.open(scenes / "images" / "test" / "00000.png") as scene:
        assert image.mode == "RGB"
        assert image.width == scene.width
        assert (image.height > scene.height) is (task == "segmentation")
        assert image.crop((0, 0, 128, 96)).tobytes() != scene.convert("RGB").tobytes()


def test_mistakes_are_one_message(genome: Genome, tmp_path: Path) -> None:
    """A classification has nothing to draw."""
    save_weights(build(genome), tmp_path, UninasSpace(genome), genome)
    run = CliRunner().invoke
    done = run(app, ["predict", str(tmp_path), str(tmp_path), "--out", str(tmp_path / "out"), "--device", "cpu"])
    assert done.exit_code == 2
    assert "is of a classification, whose images have no parts to be drawn" in " ".join(done.stderr.split())
