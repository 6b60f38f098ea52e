"""Texts, files and places that a terminal, a disk or another system makes odd: taken, or told in one message."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.compare.comparefile import load_compare_file
from uninas_evo.config.runfile import load_run_file
from uninas_evo.errors import RunFileError
from uninas_evo.spaces.uninas import load_genome, preset
from uninas_evo.tables import read_rows
from uninas_evo.training.protocol import load_protocol

RUN = """
evaluations = 4
pool = {devices = "in-process"}
after = {rescore = 0, plot = false}
strategy = {name = "random_walk"}
[problem]
objective = "params"
skeleton = {image_size = 32, classes = 10, stem = [8, 16], channels = [32, 64], depths = [1, 1]}
"""
ODD = ["[/]", "[seed 1]", "[red]x", "[/a]", "a[b"]
"""What a reader of markup takes for tags, closed ones without an opening among them."""


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "run.toml").write_text(RUN)
    return tmp_path / "run.toml"


@pytest.mark.parametrize("name", ["r[/]", "r[seed 1]"])
def test_brackets_in_a_folders_name_are_text(file: Path, name: str) -> None:
    """Run, verify, pick and report end well and print the name as it is."""
    folder = file.with_name("x").parent / name.replace("/", "∕") if "/" in name else file.with_name(name)
    told = run("run", str(file), "--out", str(folder))
    assert "".join(folder.name.split()) in "".join(told.split())  # wherever a long path is folded
    for command in ("verify", "pick", "report"):
        run(command, str(folder))


def test_brackets_in_names_of_values_are_text(tmp_path: Path) -> None:
    """Objectives reach tables, figures and pages."""
    names = [f"a{one}" for one in ODD[:3]]
    values = ", ".join(f'"{name}" = "maximize"' for name in names)
    own = f"def score(genome: 'Genome'):\n    return {{{', '.join(f'{name!r}: 1.0' for name in names)}}}\n"
    (tmp_path / "own.py").write_text(own)
    text = RUN.replace('objective = "params"', f'objectives = [{{name = "own.py:score", values = {{{values}}}}}]')
    (tmp_path / "run.toml").write_text(text)
    out = run("run", str(tmp_path / "run.toml"), "--out", str(tmp_path / "r"))
    told = [out, run("verify", str(tmp_path / "r")), run("pick", str(tmp_path / "r"))]
    assert all(name in one for one in told for name in names)
    run("plot", str(tmp_path / "r"))
    run("report", str(tmp_path / "r"))
    page = (tmp_path / "r" / "report.html").read_text()
    assert all(name in page for name in names)


def test_brackets_in_names_of_a_comparison_are_text(tmp_path: Path) -> None:
    """Strategies and problems are printed as they were named."""
    (tmp_path / "c.toml").write_text(
        'seeds = 1\nevaluations = 4\nbaseline = "fast[er]"\n[problems."p [q]"]\nname = "uninas"\nobjective = "params"\n'
        + RUN.splitlines()[-1]
        + '\n[strategies."fast[er]"]\nname = "random"\n[strategies."x[red]"]\nname = "random_walk"\n'
    )
    out = run("compare", str(tmp_path / "c.toml"), "--out", str(tmp_path / "c"))
    assert all(name in out for name in ("fast[er]", "x[red]", "p [q]"))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_of_another_encoding_ends_nothing(encoding: str) -> None:
    """What it cannot show is written otherwise."""
    code = "import sys; sys.argv = ['uninas-evo', 'list']; from uninas_evo.cli import main; main()"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL)


def test_the_list_shows_the_goal_that_a_run_gets() -> None:
    """Costs are minimized unless a run file says otherwise."""
    from uninas_evo.cli._listing import _objectives

    told = dict(_objectives())
    assert told["params"].startswith("minimize: ")
    assert told["flops"].startswith("minimize: ")
    assert told["vkdnw"].startswith("maximize: ")


def test_byte_order_marks_are_read_over(tmp_path: Path, file: Path) -> None:
    """Run files, compare files and genomes as some editors and shells save them, also with their line ends."""
    for encoding in ("utf-8-sig", "utf-8", "utf-16", "utf-32"):
        for end in ("\n", "\r\n", "\r"):
            file.write_text(RUN.replace("\n", end), encoding=encoding, newline="")
            assert load_run_file(file).options.evaluations == 4
            genome = tmp_path / "g.txt"
            genome.write_text(preset("vit").text.replace("\n", end), encoding=encoding, newline="")
            assert load_genome(genome) == preset("vit")
    compare = 'seeds = 1\nevaluations = 4\nbaseline = "a"\n[problems.p]\nname = "uninas"\n'
    compare += '[strategies.a]\nname = "random"\n'
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "c.toml").write_text(compare, encoding=encoding)
        assert load_compare_file(tmp_path / "c.toml")
        (tmp_path / "p.toml").write_text("epochs = 3\nbatch_size = 4\nlr = 0.1\n", encoding=encoding)
        assert load_protocol(tmp_path / "p.toml").epochs == 3
        (tmp_path / "t.csv").write_text("\ufeffa,b\n1,2\n", encoding=encoding)
        assert [row.cells for row in read_rows(tmp_path / "t.csv")] == [{"a": "1", "b": "2"}]
    assert load_genome("\ufeff" + preset("vit").text) == preset("vit")


@pytest.mark.parametrize("name", ["../../x", "a/b", "x/../y", "/x", ".", "..", "a\\b", "a\x00b", "a" * 300])
@pytest.mark.parametrize("kind", ["problems", "strategies"])
def test_names_are_no_paths(tmp_path: Path, kind: str, name: str) -> None:
    """Each becomes a folder of the comparison: told before the first run."""
    names = {"problems": "p", "strategies": "a"} | {kind: name}
    quoted = {key: '"' + value.replace("\\", "\\\\").replace("\x00", "\\u0000") + '"' for key, value in names.items()}
    (tmp_path / "c.toml").write_text(
        f"seeds = 1\nevaluations = 4\nbaseline = {quoted['strategies']}\n[problems.{quoted['problems']}]\n"
        f'name = "uninas"\n[strategies.{quoted["strategies"]}]\nname = "random"\n'
    )
    with pytest.raises(RunFileError, match=f"{kind}: .*names a folder of the comparison"):
        load_compare_file(tmp_path / "c.toml")


FULL = ["draw vit --out {}/x.html", "draw vit --out {}/x.svg", "convert vit --to text --out {}/x.txt"]


@pytest.mark.parametrize("command", FULL)
def test_a_full_disk_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Nothing is lost that was there, and no part stays."""
    import errno

    arguments = command.format(tmp_path).split()
    Path(arguments[-1]).write_text("before")

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("uninas_evo.files.os.fsync", full)
    assert "No space left on device" in run(*arguments, code=2)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_a_folder_whose_name_is_no_utf8_is_told(file: Path) -> None:
    """`run`, `report` and `plot` answer with one message and write no file there."""
    folder = os.fsdecode(os.fsencode(file.parent) + b"/b\xff")
    os.mkdir(folder)
    for command in (["run", str(file), "--out", f"{folder}/r"], ["report", f"{folder}/r"], ["plot", f"{folder}/r"]):
        assert "must have a name in UTF-8" in " ".join(run(*command, code=2).split())
    assert [name for _, _, names in os.walk(folder) for name in names] == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('auto_augment = "evil"', "must be one of timm's strings, got 'evil'"),
        ("crop_pct = 1e-9", "crop_pct: should be greater than or equal to 0.1"),
        ("ratio = [0, 0]", "ratio.0: should be greater than or equal to 0.1"),
        ("epochs = 1" + "0" * 5000, "is not TOML"),
    ],
)
def test_settings_that_a_library_would_choke_on(tmp_path: Path, setting: str, words: str) -> None:
    """A protocol's values are checked before any library sees them."""
    (tmp_path / "p.toml").write_text(f'base = "small"\n{setting}\n')
    told = run("train", "coatnet", "--data", "none", "--protocol", str(tmp_path / "p.toml"), code=2)
    assert words in " ".join(told.split())


def test_an_empty_value_is_no_near_word(file: Path) -> None:
    """`--set seed=` is told its rule, and nothing is proposed that is empty."""
    told = " ".join(run("run", str(file), "--set", "seed=", code=2).split())
    assert "seed: should be a valid integer" in told
    assert "did you mean ''" not in told


def test_a_name_like_a_formula_is_none_to_a_spreadsheet(tmp_path: Path) -> None:
    """`front.csv` marks it as text."""
    name = '=HYPERLINK("http://x")'
    (tmp_path / "own.py").write_text(f"def score(genome: 'Genome'):\n    return {{{name!r}: 1.0}}\n")
    values = f'{json.dumps(name)} = "maximize"'
    text = RUN.replace(
        'objective = "params"', f'objectives = [{{name = "own.py:score", values = {{{values}}}}}, "params"]'
    )
    (tmp_path / "run.toml").write_text(text.replace("random_walk", "nsga2"))
    run("run", str(tmp_path / "run.toml"), "--out", str(tmp_path / "r"))
    heads = next(csv.reader((tmp_path / "r" / "front.csv").read_text().splitlines()))
    assert f"'{name}" in heads
    assert not any(head.startswith("=") for head in heads)


def test_a_missing_folder_is_made_before_a_network_is_exported(tmp_path: Path) -> None:
    """Where it cannot be made, that is told first and nothing is exported."""
    (tmp_path / "file").write_text("")
    told = run("convert", "coatnet", "--to", "onnx", "--out", str(tmp_path / "file" / "x.onnx"), code=2)
    assert "Traceback" not in told
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.slow
def test_an_objective_that_breaks_its_worker_is_told(tmp_path: Path) -> None:
    """What replaces functions of the worker ends it; the run says so in one message."""
    (tmp_path / "own.py").write_text(
        "def score(genome: 'Genome'):\n    import uninas_evo.pool.worker as worker\n"
        "    for name in [one for one in vars(worker) if callable(vars(worker)[one])]:\n"
        "        setattr(worker, name, None)\n    return 1.0\n"
    )
    text = RUN.replace('"params"', '"own.py:score"').replace('"in-process"', '["cpu"]')
    (tmp_path / "run.toml").write_text(text)
    told = " ".join(run("run", str(tmp_path / "run.toml"), "--out", str(tmp_path / "r"), code=2).split())
    assert "killed its worker twice (TypeError" in told


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("pool", ['"in-process"', '["cpu"]'])
def test_a_second_signal_ends_the_program(tmp_path: Path, number: signal.Signals, pool: str) -> None:
    """After the first, a candidate is waited for, here for ever; after the second of either kind nothing is."""
    (tmp_path / "own.py").write_text(
        "import pathlib, time\nCALLS = []\ndef score(genome: 'Genome'):\n    CALLS.append(genome)\n"
        f"    if len(CALLS) > 2:\n        pathlib.Path({str(tmp_path / 'hangs')!r}).touch()\n        time.sleep(600)\n"
        "    return float(len(CALLS))\n"
    )
    text = RUN.replace('"params"', '"own.py:score"').replace('"in-process"', pool)
    (tmp_path / "run.toml").write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-c", "from uninas_evo.cli import main; main()", "run", str(tmp_path / "run.toml")],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "hangs").exists():
        assert process.poll() is None
        time.sleep(0.05)
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() - begin < 60:  # a busy machine takes two in a row for one
        os.kill(process.pid, number)
        time.sleep(0.5)
    _, errors = process.communicate(timeout=1)
    assert process.returncode != 0
    assert "Traceback" not in errors
