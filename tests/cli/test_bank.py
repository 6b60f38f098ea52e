"""`uninas-evo bank`: a table of trained networks that goes on where it stopped."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import uninas_evo
from uninas_evo.cli import app
from uninas_evo.errors import DataError

RUN = """
evaluations = 3
[problem]
start = "resnet"
objective = "train"
skeleton = { image_size = 16, classes = 3, stem = [8, 8], channels = [16], depths = [1] }
[problem.proxies.train]
data = "data.npz"
protocol = "p.toml"
epochs = 1
[strategy]
name = "walks"
steps = 10
[pool]
devices = "in-process"
[after]
rescore = 0
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    labels = np.arange(60) % 3
    images = np.random.default_rng(0).integers(0, 255, (60, 16, 16), dtype=np.uint8)
    np.savez("data.npz", x_train=images, y_train=labels, x_test=images[:6], y_test=labels[:6])
    Path("p.toml").write_text('base = "small"\nbatch_size = 16\nval_fraction = 0.3\n')
    Path("bank.toml").write_text(RUN)
    return tmp_path


def bank(*words: str) -> str:
    result = CliRunner().invoke(app, ["bank", "bank.toml", "--out", "made", "--quiet", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_bank_is_made_and_added_to(folder: Path) -> None:
    """A row a network; the same command with more networks keeps the first rows; equal to a bank made at once."""
    assert "3 networks in" in bank()
    first = uninas_evo.load_bank("made")
    assert len(first) == 3
    assert {"params", "flops", "train", "seconds"} <= first.columns.keys()
    assert ((first.columns["train"] >= 0) & (first.columns["train"] <= 1)).all()
    assert "5 networks in" in bank("--networks", "5")
    more = uninas_evo.load_bank("made/bank.csv.gz")
    assert more.genomes[:3] == first.genomes
    assert np.array_equal(more.columns["train"][:3], first.columns["train"])
    space = uninas_evo.UninasSpace(uninas_evo.load_genome(more.genomes[0]))
    assert [space.decode(text).params for text in more.genomes] == more.columns["params"].tolist()


def test_banks_that_are_none(folder: Path) -> None:
    """No file, no genomes, and a cell that is no number are told."""
    with pytest.raises(DataError, match="make one with `uninas-evo bank FILE`"):
        uninas_evo.load_bank("nowhere")
    Path("other.csv").write_text("architecture,accuracy\na,1\n")
    with pytest.raises(DataError, match="must have a column 'genome'"):
        uninas_evo.load_bank("other.csv")
    with gzip.open("wrong.csv.gz", "wt") as file:
        file.write("genome,train\na,good\n")
    with pytest.raises(DataError, match=r"line 2 of the bank .* must hold a number in the column 'train', got 'good'"):
        uninas_evo.load_bank("wrong.csv.gz")
