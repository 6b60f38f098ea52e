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


RUNGS = """
fidelities = [{ epochs = 1, images = 16 }, { epochs = 2, images = 16 }, { epochs = 2, images = 16 }]
curve = true
[strategy]
every = [1, 1, 2]
"""


def test_each_network_at_several_fidelities(folder: Path) -> None:
    """A row a network, columns a fidelity; one in two gets the last; equal schedules have names of their own."""
    Path("bank.toml").write_text(RUN.replace("epochs = 1\n[strategy]\n", RUNGS.lstrip()))
    assert "3 networks in" in bank("--networks", "3")
    made = uninas_evo.load_bank("made")
    first, last = made.columns["train_2x16"], made.columns["train_2x16_2"]
    assert np.isfinite([made.columns["train_1x16"], first, made.columns["train_after_1_2x16"]]).all()
    assert np.isfinite(last).tolist() == [True, False, True]
    assert "train_after_1_1x16" not in made.columns
    assert "4 networks in" in bank("--networks", "4")
    assert uninas_evo.load_bank("made").genomes[:3] == made.genomes


def test_the_same_networks_on_other_data(folder: Path) -> None:
    """`start_from` trains an earlier bank's networks in its order, before new ones."""
    bank()
    text = RUN.replace('name = "walks"', 'name = "walks"\nstart_from = ["made"]').replace("seed = 0", "seed = 1")
    Path("again.toml").write_text(text)
    result = CliRunner().invoke(app, ["bank", "again.toml", "--quiet", "--networks", "4"])
    assert result.exit_code == 0, result.output
    again, made = uninas_evo.load_bank("again"), uninas_evo.load_bank("made")
    assert again.genomes[:3] == made.genomes
    assert again.origins[:3] == ("past",) * 3
    assert made.origins[0] == "start"


def test_mistakes(folder: Path) -> None:
    """Numbers that do not fit the fidelities, and a folder without genomes, are told before anything is trained."""
    for setting, words in (
        ("strategy.every=[1, 1]", "a number for each of the problem's fidelities, which are 1"),
        ("strategy.every=[2]", "whole numbers from 1, one of them 1"),
        ('strategy.start_from=["nowhere"]', "start_from must name run folders"),
    ):
        result = CliRunner().invoke(app, ["bank", "bank.toml", "--out", "none", "--set", setting])
        assert result.exit_code == 2
        assert words in " ".join(result.output.split())


def test_banks_that_are_none(folder: Path) -> None:
    """No file, no genomes, and a cell that is no number are told."""
    with pytest.raises(DataError, match="make one with `uninas-evo bank FILE`"):
        uninas_evo.load_bank("nowhere")
    Path("other.csv").write_text("network,accuracy\na,1\n")
    with pytest.raises(DataError, match="must have a column 'genome'"):
        uninas_evo.load_bank("other.csv")
    with gzip.open("wrong.csv.gz", "wt") as file:
        file.write("genome,train\na,good\n")
    with pytest.raises(DataError, match=r"line 2 of the bank .* must hold a number in the column 'train', got 'good'"):
        uninas_evo.load_bank("wrong.csv.gz")
