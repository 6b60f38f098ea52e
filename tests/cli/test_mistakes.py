"""A user's mistakes on the command line: one message, exit code 2, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.spaces.uninas import Skeleton, preset

RUN = """evaluations = 4
[problem]
start = "g.txt"
objective = "params"
[strategy]
name = "random_walk"
[pool]
devices = "in-process"
"""
OBJECTIVE = 'objective = "params"'
IN_RUN_FILES = [
    (OBJECTIVE, 'objective = "vkndw"', "did you mean 'vkdnw'?"),
    (OBJECTIVE, OBJECTIVE + "\nbudget = {max_params = 5}", "the budget is max_params = 5; widen the budget"),
    (OBJECTIVE, OBJECTIVE + "\nbudget = {max_parms = 5}", "did you mean 'max_params'?"),
    (OBJECTIVE, OBJECTIVE + "\nbudget = {max_params = 5, min_params = 9}", "got min_params=9 and max_params=5"),
    (OBJECTIVE, OBJECTIVE + "\nskeleton = {image_size = 17}", "image size must be divisible"),
    (OBJECTIVE, OBJECTIVE + "\nconstraints = [{name = 'latency', max = 5}]", "did you mean 'latency_ms'?"),
    (OBJECTIVE, 'objective = {name = "fit.py:g"}', "there is no file"),
    (OBJECTIVE, 'objective = {name = "own.py:g"}', "own.py has no 'g': it has f"),
    (OBJECTIVE, 'objective = {name = "reward", of = "params"}', "a reward needs what it is of and a target"),
    (OBJECTIVE, 'objective = "train"', "set problem.proxies.train.data"),
    (OBJECTIVE, 'objectives = ["params", "params"]', "got params, params; leave one out"),
    (OBJECTIVE, "objectives = []", "objective"),
    ("evaluations = 4", "evaluations = -4", "evaluations: should be greater than 0, got -4"),
    ("evaluations = 4", 'evaluations = "many"', "got 'many'"),
    ("evaluations = 4", "evaluation = 4", "did you mean 'evaluations'?"),
    ("evaluations = 4", "evaluations = 4\nseed = 1.5", "seed: should be a valid integer"),
    ("evaluations = 4", "evaluations = 4\nseed = true", "seed: must be a number, got true"),
    ("evaluations = 4", "evaluations = inf", "evaluations: should be a finite number"),
    ("evaluations = 4", "", "set evaluations or time_limit_s"),
    ('start = "g.txt"', 'start = "coatnt"', "did you mean 'coatnet'?"),
    ("[problem]", "[problem", "is not TOML"),
    ("[problem]", '[problem]\nname = "uninass"', "did you mean 'uninas'?"),
    ("[strategy]", "[strategi]", "did you mean 'strategy'?"),
    ('name = "random_walk"', 'name = "evolutoin"', "did you mean 'evolution'?"),
    ('name = "random_walk"', 'name = "evolution"\npopulaton = 4', "did you mean 'population'?"),
    ('name = "random_walk"', 'name = "evolution"\npopulation = 0', "population: should be greater than or equal to 1"),
    ('devices = "in-process"', 'devices = "cuda"', 'a device stands in a list: write devices = ["cuda"]'),
    ('devices = "in-process"', 'devices = ["tpu"]', "got 'tpu'"),
    ('devices = "in-process"', 'devices = "in_process"', "did you mean 'in-process'?"),
    ('devices = "in-process"', "devices = {cpu = 0}", "pool.devices.cpu: should be greater than 0, got 0"),
]
COMMANDS = [
    (["rnu", "run.toml"], "Did you mean 'run'?"),
    (["run", "nothing.toml"], "nothing.toml cannot be read"),
    (["run", "empty"], "empty is no file"),
    (["run", "g.txt"], "g.txt is not TOML"),
    (["run", "run.toml", "--set", "evaluations"], "--set takes FIELD=VALUE"),
    (["run", "run.toml", "--set", "strategy.naem=random"], "strategy.naem: there is no such field"),
    (["run", "run.toml", "--out", "g.txt"], "choose another with --out"),
    (["run", "run.toml", "--sett", "a=1"], "--set"),
    (["resume", "empty"], "name the folder that `uninas-evo run` wrote"),
    (["resume", "nothing"], "name the folder that `uninas-evo run` wrote"),
    (["verify", "nothing"], "name the folder that `uninas-evo run` wrote"),
    (["verify", "empty"], "name the folder that `uninas-evo run` wrote"),
    (["report", "g.txt"], "not a journal"),
    (["plot", "empty"], "name the folder that `uninas-evo run` wrote"),
    (["plot", "empty", "--style", "funy"], "funy"),
    (["pick", "empty", "--params", "5"], "name the folder that `uninas-evo run` wrote"),
    (["compare", "run.toml"], "is a run file, not a compare file; run it with: uninas-evo run"),
    (["compare", "g.txt"], "is not TOML"),
    (["cost", "coatnt"], "did you mean 'coatnet'?"),
    (["cost", "empty"], "is a folder, and a genome is a file"),
    (["cost", "run.toml"], "no space reads a text that begins with"),
    (["cost"], "Missing argument 'GENOME'"),
    (["draw", "g.txt"], "Missing option '--out'"),
    (["draw", "g.txt", "--out", "x.bmp"], "must end in one of .svg, .png, .pdf, .html"),
    (["draw", "g.txt", "--out", "x.svg", "--against", "vitt"], "did you mean 'vit'?"),
    (["convert", "g.txt", "--to", "yaml"], "'yaml' is not one of"),
    (["convert", "g.txt", "--to", "onnx"], "add --out network.onnx"),
    (["convert", "g.txt", "--to", "text", "--out", "empty"], "empty"),
    (["convert", "g.txt", "--to", "text", "--classes", "0"], "greater than or equal to 1"),
    (["convert", "g.txt", "--to", "text", "--image-size", "17"], "got 17; use 16"),
    (["convert", "darts_v2", "--to", "text", "--trim"], "--trim"),
    (["score", "g.txt", "--proxy", "vkndw"], "did you mean 'vkdnw'?"),
    (["score", "g.txt", "--device", "bogus"], "nothing can be scored on 'bogus'"),
    (["score", "g.txt", "--device", "cuda:77"], "nothing can be scored on 'cuda:77'"),
    (["score", "g.txt", "--batch", "0"], "greater than or equal to 2"),
    (["train", "g.txt", "--data", "nothing.npz"], "there is no data at 'nothing.npz'"),
    (["train", "g.txt", "--data", "empty"], "there is no data at 'empty'"),
    (["train", "g.txt", "--data", "empty", "--device", "bogus"], "there is no device 'bogus'"),
    (["train", "g.txt", "--data", "empty", "--protocol", "smal"], "did you mean 'small'?"),
    (["train", "g.txt", "--data", "empty", "--set", "epoch=3"], "did you mean 'epochs'?"),
    (["walk", "--steps", "-5"], "--steps"),
    (["walk", "--steps", "5", "--out", "g.txt"], "g.txt cannot be used"),
    (["list", "stratgies"], "did you mean 'strategies'?"),
    (["audit", "nothing.csv"], "make one with `uninas-evo bank FILE`"),
    (["handover", "empty", "--data", "empty"], "name the folder that `uninas-evo run` wrote"),
    (["export", "empty"], "name the folder of a training that has ended"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a genome, a run file, an objective's file and an empty folder."""
    monkeypatch.chdir(tmp_path)
    skeleton = Skeleton(image_size=16, classes=4, stem=(4, 8), channels=(8,), depths=(1,))
    Path("g.txt").write_text(preset("resnet", skeleton).text)
    Path("run.toml").write_text(RUN)
    Path("own.py").write_text("def f(genome):\n    return 1.0\n")
    Path("empty").mkdir()
    return tmp_path


def told(words: list[str]) -> str:
    """The message of a command that was refused."""
    result = CliRunner().invoke(app, words, terminal_width=1000)
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.output.replace("\n", "")


@pytest.mark.parametrize(("words", "message"), COMMANDS, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_a_command_that_cannot_be_is_one_message(folder: Path, words: list[str], message: str) -> None:
    """The message names what is wrong and the nearest right thing."""
    assert message in told(words)


@pytest.mark.parametrize(("right", "wrong", "message"), IN_RUN_FILES)
def test_a_mistake_in_a_run_file_is_one_message(folder: Path, right: str, wrong: str, message: str) -> None:
    """The message names the field, the value and the nearest right word; nothing is written."""
    Path("wrong.toml").write_text(RUN.replace(right, wrong))
    found = told(["run", "wrong.toml", "--out", "out"])
    assert message in found
    assert "mistakes:" not in found
    journal = Path("out/journal.jsonl")
    assert not journal.exists() or journal.read_text() == ""


@pytest.mark.parametrize("train", ["data = 'nowhere'", "data = 'nowhere'\nprotocol = 'big'"])
def test_a_training_that_cannot_be_is_told_before_the_search(tmp_path: Path, train: str) -> None:
    """Data and protocol of `[train]` are read before anything is scored."""
    file = tmp_path / "run.toml"
    file.write_text(f"evaluations = 2\n[problem]\nobjective = 'params'\n[train]\n{train}\n")
    result = CliRunner().invoke(app, ["run", str(file), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2, result.output
    assert "nowhere" in result.output or "big" in result.output
    assert not (tmp_path / "out").exists()
