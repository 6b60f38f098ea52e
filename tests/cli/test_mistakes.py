"""A user's mistake on the command line: one message, exit code 2, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.spaces.uninas import Skeleton, preset


@pytest.fixture
def genome(tmp_path: Path) -> str:
    skeleton = Skeleton(image_size=16, classes=4, stem=(4, 8), channels=(8,), depths=(1,))
    path = tmp_path / "genome.txt"
    path.write_text(preset("resnet", skeleton).text)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["walk", "--steps", "5", "--out", "GENOME"], "genome.txt cannot be used"),
        (["cost", "FOLDER"], "FOLDER"),
        (["draw", "GENOME", "--out", "FOLDER"], "must end in one of .svg, .png, .pdf, .html"),
        (["convert", "GENOME", "--to", "text", "--out", "FOLDER"], "FOLDER"),
        (["score", "GENOME", "--device", "bogus"], "nothing can be scored on 'bogus'"),
        (["score", "GENOME", "--device", "cuda:77"], "nothing can be scored on 'cuda:77'"),
        (["train", "GENOME", "--data", "FOLDER", "--device", "bogus"], "there is no device 'bogus'"),
        (["train", "GENOME", "--data", "FOLDER/nothing.npz"], "nothing.npz"),
        (["resume", "FOLDER"], "FOLDER"),
        (["verify", "FOLDER"], "FOLDER"),
        (["report", "FOLDER"], "FOLDER"),
        (["plot", "FOLDER"], "FOLDER"),
        (["pick", "FOLDER", "--params", "5"], "FOLDER"),
        (["handover", "FOLDER", "--data", "FOLDER"], "FOLDER"),
        (["export", "FOLDER"], "FOLDER"),
        (["compare", "GENOME"], "is not TOML"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistakes_are_told(tmp_path: Path, genome: str, arguments: list[str], message: str) -> None:
    """The message names what is wrong."""
    folder = tmp_path / "folder"
    folder.mkdir()
    words = [word.replace("FOLDER", str(folder)).replace("GENOME", genome) for word in arguments]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2, result.output
    assert message.replace("FOLDER", str(folder)) in result.output.replace("\n", "")


@pytest.mark.parametrize("train", ["data = 'nowhere'", "data = 'nowhere'\nprotocol = 'big'"])
def test_a_training_that_cannot_be_is_told_before_the_search(tmp_path: Path, train: str) -> None:
    """Data and protocol of `[train]` are read before anything is scored."""
    file = tmp_path / "run.toml"
    file.write_text(f"evaluations = 2\n[problem]\nobjective = 'params'\n[train]\n{train}\n")
    result = CliRunner().invoke(app, ["run", str(file), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2, result.output
    assert "nowhere" in result.output or "big" in result.output
    assert not (tmp_path / "out").exists()
