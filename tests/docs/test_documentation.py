"""Every command and snippet of the README and of docs/ runs as it stands, with tiny settings added.

A comment before a code block gives what only this block needs: ``<!-- test: with OPTIONS -->`` adds options to each of
its commands, ``<!-- test: as COMMAND -->`` runs another command in its place. Blocks of one page run in order in one
empty folder that holds the repository's `runs` and `examples`, as a reader would run them.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.devices import profiling
from uninas_evo.spaces.uninas import Skeleton, preset

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BLOCK = re.compile(r"(?:<!-- test: (?P<rule>.*?) -->\n+)?^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```", re.M | re.S)
TABLE = ROOT / "../shared/data/nasbench201_test_accuracy.csv.gz"
HARDWARE = TABLE.with_name("nasbench201_hardware.csv.gz")

TINY = {
    "run": "--set evaluations=6",
    "resume": "--set evaluations=8",
    "compare": "--set evaluations=6 --set seeds=2",
    "walk": "--steps 300",
    "audit": "--networks 4 --batch 4",
    "train": "--data tiny.npz --protocol tiny.toml",
    "train --task": "--set epochs=1 --set batch_size=4 --device cpu",
    "handover": "--data tiny.npz --protocol tiny.toml --seeds 1",
    "handover --task": "--set epochs=1 --set batch_size=4 --seeds 1 --device cpu",
    "bank": "--networks 2 --set problem.proxies.train.data=tiny.npz --set problem.proxies.train.protocol=tiny.toml",
    "bare.py": "--seeds 2 --evaluations 30",
    "calibration.py": "--labels 30 --draws 2 --data cifar10",
    "canonical.py": "--seeds 2 --evaluations 6",
    "device_profile.py": "--backend eager --networks 4 --profile device.json",
    "devices.py": "--seeds 1 --limit 20 --strategies aging",
    "digits.py": "--networks 4 --epochs 1",
    "encodings.py": "--seeds 2 --evaluations 6 --only random 'bayesian (default)'",
    "engine.py": "--evaluations 20 --tasks 2 --resumed 50",
    "forward.py": "--batch 1 --rounds 1 --presets resnet --only uninas",
    "inheritance.py": "--data tiny.npz --protocol tiny.toml --images 32 --children 2 --generations 1",
    "nasbench201.py": "--seeds 2 --limit 30",
    "quickstart.toml": "--set train.settings.epochs=1 --set after.rescore=1",
    "policy.py": "--seeds 2 --limit 30 --planted 1",
    "predictor.py": "--seeds 1 --limit 20",
    "proxies.py": "--cases 1 --batch 16 --repeats 1",
    "reliability.py": "--networks 2 --seeds 2 --only default",
    "training.py": "--images 64 --rounds 1",
    "slurm_dask.py": """--local --set evaluations=3 --set 'problem.objectives=["params"]'""",
    "submitit_seeds.py": """--local --set evaluations=3 --set 'problem.objectives=["params"]'""",
    "truth.py": "--data tiny.npz --epochs 1 --images 0 --seeds 1",
    "uninas_mini.py": "",
    "walk.py": "--steps 500 --package-steps 1",
}
"""Options that make a command or a benchmark quick, by its name; of an option given twice the last counts."""
NOT_RUN = ("pip ", "cd ", "pytest", "mkdocs ", "bash tests/check")
"""Lines for a shell whose work `.ci/run` does: it installs, checks, tests and builds the site."""


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    code: str
    rule: str

    @property
    def commands(self) -> Iterator[list[str]]:
        """Its command lines as words, without prompts, comments and what only sets up."""
        for line in self.code.replace("\\\n", " ").splitlines():
            for part in line.removeprefix("$ ").split(" && "):
                words = shlex.split(part, comments=True)
                if words and not part.strip().startswith(NOT_RUN):
                    yield words


def blocks(page: Path) -> list[Block]:
    """The blocks of a page."""
    return [Block(m["language"], m["code"], m["rule"] or "") for m in BLOCK.finditer(page.read_text(encoding="utf-8"))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a reader: the run files and examples, a little data, and the benchmark's table."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "runs").mkdir()
    for file in (ROOT / "runs").glob("*.toml"):  # run folders of a developer lie beside them
        shutil.copy(file, tmp_path / "runs")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for table in (TABLE, HARDWARE):
        if table.is_file():
            (tmp_path / table.name).symlink_to(table.resolve())
    rng, labels = np.random.default_rng(0), np.arange(160) % 10
    images = rng.integers(0, 256, (160, 32, 32, 3), dtype=np.uint8)
    np.savez("tiny.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    garments = np.zeros((40, 28, 28), np.uint8)
    for i, label in enumerate(labels[:40]):
        garments[i, 4 : 14 + label, 6:22] = 120 + 10 * label
    np.savez("garments.npz", x_train=garments, y_train=labels[:40], x_test=garments, y_test=labels[:40])
    skeleton = Skeleton(image_size=32, classes=10, stem=(8, 16), channels=(32, 64), depths=(1, 1))
    (tmp_path / "small.txt").write_text(preset("coatnet", skeleton).text)
    (tmp_path / "tiny.toml").write_text('base = "small"\nepochs = 1\nwarmup_epochs = 0\nbatch_size = 16\n')
    return tmp_path


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles of devices take few passes: their times mean nothing here."""
    for name, value in (("SURVEYED", 20), ("PIECE_S", 0.0), ("NETWORK_S", 0.0)):
        monkeypatch.setattr(profiling, name, value)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a page is a reader's whole session; ten minutes are not enough on a busy machine
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_commands_and_snippets_of_a_page_run(page: Path, folder: Path) -> None:
    """What a reader copies works, in the order of the page."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        match block.language:
            case "bash":
                for words in block.commands:
                    run_command(words, block.rule)
            case "python" if re.match(r"# (\S+\.py)\n", block.code):
                Path(block.code.split()[1]).write_text(block.code)
            case "python":
                exec(compile(block.code, page.name, "exec"), names)  # noqa: S102 - our own documentation
            case "toml":
                tomllib.loads(block.code)
                if named := re.match(r"# (\S+\.toml)\n", block.code):
                    Path(named[1]).write_text(block.code)


def run_command(words: list[str], rule: str) -> None:
    """Runs a command line with its tiny settings: ours in this process, others in one of their own."""
    kind, _, given = rule.partition(" ")
    added = shlex.split(given) if kind == "with" else []
    if kind == "as":
        words = shlex.split(given)
    if any(word.endswith(TABLE.name) for word in words) and not TABLE.is_file():
        warnings.warn(f"not run, {TABLE} is absent: {shlex.join(words)}", stacklevel=2)
        return
    if words[0] == "uninas-evo":
        name = f"{words[1]} --task" if "--task" in words else words[1]
        short = TINY.get(Path(words[2]).name, "") if len(words) > 2 else ""
        words = [*words, *shlex.split(TINY.get(name, "")), *shlex.split(short), *added]
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, f"{shlex.join(words)}\n{result.output}\n{result.exception!r}"
        return
    if words[0] == "python":
        words = [sys.executable, str(ROOT / words[1]), *words[2:], *shlex.split(TINY[Path(words[1]).name])]
    run_process(*words)


@functools.cache
def run_process(*words: str) -> None:
    """Runs a command in a process of its own; pages that name the same benchmark run it once."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"


def test_links_lead_somewhere() -> None:
    """Every relative link and picture of the README and of docs/ exists."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), f"{page.name}: {target} does not exist"


def test_the_table_of_operations_is_complete() -> None:
    """docs/operations.md names every operation."""
    from uninas_evo.spaces.uninas import OPERATIONS

    table = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [name for name in OPERATIONS if f"`{name}`" not in table] == []
