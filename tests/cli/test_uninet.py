"""A search in the UniNet space through the commands, as a user meets them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.engine.events import ResultEvent
from uninas_evo.engine.journal import read_journal
from uninas_evo.spaces.load import build, load_genome, load_space
from uninas_evo.training.formats import load, save_weights
from uninas_evo.training.protocol import load_protocol

STAGES = """stage L-DSM stride=1 DWConv e=2 c=16 r=1
stage L-DSM stride=2 SA e=2 c=16 r=1
"""
START = f"""uninet 1
image 16
classes 10
stem 8 stride=2
first none
heads 16
window 4
head 16
{STAGES}"""
PROBLEM = (
    """
[problem]
name = "uninet"
start = """
    + f'''"""
{START}"""
lattice = {{channels = [16, 16], repeats = [1, 1]}}
objective = "naswot"
batch = 4
'''
)
REST = """
[pool]
devices = "in-process"
"""


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    path: Path = tmp_path_factory.mktemp("uninet")
    after = "[after]\nrescore = 0\nplot = false\n"
    (path / "search.toml").write_text(f'evaluations = 4\nstrategy = {{name = "ppo"}}\n{PROBLEM}{REST}{after}')
    call("run", path / "search.toml", "-q")
    return path / "search"


def test_a_run_goes_on_and_is_verified(folder: Path) -> None:
    """More evaluations go on with the same policy; the winner's score comes out again."""
    call("resume", folder, "--set", "evaluations=9", "-q")
    assert sum(isinstance(event, ResultEvent) for event in read_journal(folder)[1]) == 9
    assert "bit for bit" in call("verify", folder)


def test_a_run_is_drawn_reported_and_picked_from(folder: Path, tmp_path: Path) -> None:
    """The page shows the winner, the plot is written, and a pick heeds the paper's FLOPs."""
    call("report", folder)
    assert "The winner" in (folder / "report.html").read_text()
    call("plot", folder, "--out", tmp_path)
    assert (tmp_path / "pareto.png").is_file()
    picked = tmp_path / "picked.txt"
    assert "published_flops" in call("pick", folder, "--by", "naswot", "--out", picked)
    for ending in ("svg", "html"):
        call("draw", picked, "--against", folder / "winner.txt", "--out", tmp_path / f"both.{ending}")
        assert (tmp_path / f"both.{ending}").stat().st_size > 1000
    assert "naswot" in call("score", picked, "--proxy", "naswot", "--batch", "4")


@pytest.mark.slow
def test_strategies_are_compared(tmp_path: Path) -> None:
    """Policies stand beside random search on the same seeds."""
    top = 'evaluations = 3\nseeds = 2\nbaseline = "random"\nrescore = 0\n'
    strategies = "\n[strategies.random]\n[strategies.ppo]\nbatch = 2\n"
    (tmp_path / "both.toml").write_text(f"{top}{PROBLEM}{REST}{strategies}")
    assert "ppo" in call("compare", tmp_path / "both.toml", "--out", tmp_path / "out")


@pytest.fixture(scope="module")
def workplace(folder: Path, tmp_path_factory: Any) -> Path:
    """A genome and one for larger images, searches (one by a predictor), data, protocols, a bank and a training."""
    path: Path = tmp_path_factory.mktemp("tools")
    (path / "genome.txt").write_text(START)
    (path / "search").symlink_to(folder)
    labels = np.arange(60) % 10
    images = np.random.default_rng(0).integers(0, 255, (60, 16, 16, 3), dtype=np.uint8)
    np.savez(path / "data.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    (path / "quick.toml").write_text(
        'base = "small"\nepochs = 1\nwarmup_epochs = 0\nbatch_size = 16\nval_fraction = 0.4\n'
    )
    for base in ("deit", "deit-finetune"):
        less = 'epochs = 1\nwarmup_epochs = 0\ncooldown_epochs = 0\nbatch_size = 16\nval_fraction = 0.4\namp = ""\n'
        (path / f"{base}.toml").write_text(f'base = "{base}"\n{less}')
    proxies = '[problem.proxies.train]\ndata = "data.npz"\nprotocol = "quick.toml"\nepochs = 1\n'
    trains = PROBLEM.replace('objective = "naswot"', 'objective = "train"')
    start = '[strategy]\nname = "walks"\nsteps = 4\n'
    (path / "bank.toml").write_text(f"evaluations = 6\n{trains}{proxies}{start}{REST}[after]\nrescore = 0\n")
    versus = "\n[strategies.random]\n[strategies.ppo]\nbatch = 2\n"
    (path / "both.toml").write_text(
        f'evaluations = 3\nseeds = 2\nbaseline = "random"\nrescore = 0\n{PROBLEM}{REST}{versus}'
    )
    predictor = 'evaluations = 24\nstrategy = {name = "predictor", predictor = "ridge", startup = 4, drafts = 20}\n'
    (path / "predicted.toml").write_text(f"{predictor}{PROBLEM}{REST}[after]\nrescore = 0\n")
    (path / "search.toml").write_text((folder.parent / "search.toml").read_text())
    with contextlib.chdir(path):
        call("train", "genome.txt", "--data", "data.npz", "--protocol", "deit.toml", "--out", "trained")
        call("bank", "bank.toml", "--out", "bank", "-q")
        call("run", "predicted.toml", "--out", "predicted", "-q")
        call("convert", "genome.txt", "--to", "text", "--image-size", "32", "--out", "larger.txt")
    return path


TOOLS = (
    ("cost genome.txt --json", "published_flops"),
    ("convert genome.txt --to text --image-size 64 --out other.txt", ""),
    ("draw genome.txt --against search/winner.txt --out both.svg", "both.svg"),
    ("list --for search.toml", "reinforce"),
    ("run search.toml --out again -q", ""),
    ("compare both.toml --out compared", "ppo"),
    ("score genome.txt --proxy naswot --batch 4", "naswot"),
    ("train genome.txt --data data.npz --protocol quick.toml --out plain", "plain"),
    ("train larger.txt --data data.npz --protocol deit-finetune.toml --from trained --out tuned", "tuned"),
    ("export trained --to torch", "network.pt2"),
    ("handover search --data data.npz --protocol quick.toml --random 1", "winner"),
    ("report search", "report.html"),
    ("plot search --out figures", "pareto"),
    ("plot predicted --importance --out figures", ""),
    ("pick search --by naswot --out picked.txt", "published_flops"),
    ("bank bank.toml --out bank --networks 8 -q", "8 networks"),
    ("audit bank --proxies naswot,params --batch 4 --out audited", "naswot"),
    ("scale genome.txt --target-flops 4e6 --proxy naswot --refinements 1 --out scaled.txt", ""),
)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "told"), TOOLS, ids=[command for command, _ in TOOLS])
def test_every_tool_takes_the_space(command: str, told: str, workplace: Path) -> None:
    """Each command of the program, as on a genome and a search of the UniNAS space."""
    with contextlib.chdir(workplace):
        assert told in call(*command.split())


def test_trained_weights_are_read_again(tmp_path: Path) -> None:
    """What a training leaves tells the size of its images and holds the same network."""
    network = build(load_genome(START))
    save_weights(network, tmp_path, *load_space(START), load_protocol("small"), tuple("abcdefghij"))
    again = load(tmp_path)
    assert again.preparation.size == (3, 16, 16)
    assert again.genome == network.genome
    assert all(map(torch.equal, network.state_dict().values(), again.state_dict().values()))


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["convert", "export"])
def test_networks_are_written_for_other_programs(tool: str, tmp_path: Path) -> None:
    """A genome's network and a trained one as ONNX."""
    pytest.importorskip("onnxscript", reason="needs the extra: pip install 'uninas-evo[train]'")
    (tmp_path / "genome.txt").write_text(START)
    if tool == "convert":
        call("convert", tmp_path / "genome.txt", "--to", "onnx", "--out", tmp_path / "network.onnx")
    else:
        save_weights(
            build(load_genome(START)), tmp_path, *load_space(START), load_protocol("small"), tuple("abcdefghij")
        )
        call("export", tmp_path, "--to", "onnx")
    assert (tmp_path / "network.onnx").stat().st_size > 1000
