"""What a run depends on is part of its identity: code, tables and data, wherever they lie."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_project import search, values

from uninas_evo.api import resume, run_file
from uninas_evo.config.runfile import load_run_file
from uninas_evo.engine.events import VERSION, Header
from uninas_evo.engine.identity import completed
from uninas_evo.engine.verify import verify
from uninas_evo.errors import JournalError, SourceError, UninasEvoError
from uninas_evo.pool.worker import check_sources
from uninas_evo.problems.nasbench201 import read_table
from uninas_evo.sources import changed, closure, file_hash, hashes


def test_an_imported_module_is_part_of_a_runs_identity(project: Path) -> None:
    """On resume and verify, from Python as from the command line, a changed helper is refused."""
    search(project, evaluations=3)
    (project / "helper.py").write_text("K = 2.0\n")
    actions: list[Callable[[], Any]] = [
        lambda: resume(project / "r", ["evaluations=6"], quiet=True),
        lambda: verify(project / "r"),
        lambda: search(project, evaluations=6, resume=True),
    ]
    for action in actions:
        with pytest.raises(JournalError, match=r"helper\.py is not the one that this run was started with"):
            action()
    resume(project / "r", ["evaluations=6"], allow_changed_objective=True, quiet=True)
    assert values(project / "r") == {1.0, 2.0}, "what is allowed runs the new code, not what was compiled before"


def test_a_moved_project_goes_on(project: Path) -> None:
    """The hash is the identity: neither the run folder's place nor that of the code counts."""
    moved = project.rename(project.with_name("elsewhere"))
    resume(moved / "r", ["evaluations=6"], quiet=True)
    assert all(row.agrees for row in verify(moved / "r"))
    (moved / "code").mkdir()
    for name in ("own.py", "helper.py"):
        (moved / name).rename(moved / "code" / name)
    text = (moved / "r" / "run.toml").read_text()
    (moved / "r" / "run.toml").write_text(text.replace("/own.py", "/code/own.py"))
    resume(moved / "r", ["evaluations=7"], quiet=True)
    assert values(moved / "r") == {1.0}


def test_runs_go_on_as_their_version_meant() -> None:
    """What a run leaves out means what it meant when it was started; what it says stays."""
    run = {"seed": 0, "problem": {"name": "nasbench201"}, "strategy": {"name": "bayesian", "lag": 1}}
    facts: dict[str, Any] = {"seed": 0, "objectives": {}, "versions": {}, "host": {}, "started": ""}
    new, old = (Header(run=run, version=version, **facts) for version in (VERSION, 1))
    assert completed(new) == run
    assert completed(old) == run | {"strategy": {"name": "bayesian", "lag": 1, "repeats": "model"}}
    told = {"strategy": {"name": "bayesian", "repeats": "neighbors"}}
    assert completed(old, told) == told


def test_imports_are_found_without_running_them(tmp_path: Path) -> None:
    """Packages, relative imports, imports in functions and by literal names; not what is installed."""
    files = {
        "own.py": "import numpy, json\nimport pack.inner\ndef f():\n    import late\n    __import__('named')\n",
        "pack/__init__.py": "raise SystemExit('executed')",
        "pack/inner.py": "from . import beside\nfrom .deep.er import x",
        "pack/beside.py": "",
        "pack/deep/er.py": "",
        "late.py": "import own",
        "named.py": "",
        "unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    found = {str(path.relative_to(tmp_path)) for path in closure(tmp_path / "own.py")}
    assert found == files.keys() - {"unused.py"}


@pytest.mark.parametrize(
    "code",
    [
        "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))\nfrom far import K\n",
        "import sys, pathlib\nsys.path.append(str(pathlib.Path(__file__).parent / 'lib'))\nfrom far import K\n",
        "import runpy, os\nK = runpy.run_path(os.path.join(os.path.dirname(__file__), 'lib/far.py'))['K']\n",
        "from lib.far import K\n",
        "try:\n    from nowhere import K\nexcept ImportError:\n    from lib.far import *\n",
    ],
)
def test_code_in_a_folder_that_the_text_names_is_part_of_a_runs_identity(project: Path, code: str) -> None:
    """Whichever way it is put on the search path or loaded."""
    (project / "lib").mkdir()
    (project / "lib" / "far.py").write_text("K = 1.0\n")
    (project / "own.py").write_text(code + "def score(genome: 'Genome'):\n    return K\n")
    search(project, evaluations=3)
    (project / "lib" / "far.py").write_text("K = 2.0\n")
    with pytest.raises(JournalError, match=r"far\.py is not the one that this run was started with"):
        resume(project / "s", ["evaluations=6"], quiet=True)


def test_code_that_cannot_be_seen_is_refused(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A change there would mix two versions; on the search path it is seen."""
    far = tmp_path_factory.mktemp("far")
    (far / "unseen.py").write_text("K = 1.0\n")
    (project / "own.py").write_text(
        f"import sys\nsys.path.append(''.join({list(str(far))}))\nfrom unseen import K\n"
        "def score(genome: 'Genome'):\n    return K\n"
    )
    with pytest.raises(UninasEvoError, match=r"imports .*unseen\.py, which cannot be seen in its text"):
        search(project, evaluations=3)


def test_a_module_without_a_file_is_no_code(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as torch.classes, which says `_classes.py`: whoever is first to import torch in a process is not refused."""
    (project / "own.py").write_text(
        "import sys, types\nsys.modules['made_up'] = types.ModuleType('made_up')\n"
        "sys.modules['made_up'].__file__ = '_made_up.py'\ndef score(genome: 'Genome'):\n    return 1.0\n"
    )
    monkeypatch.setitem(sys.modules, "made_up", None)
    monkeypatch.delitem(sys.modules, "made_up")
    search(project, evaluations=3)
    assert values(project / "s") == {1.0}


def test_a_worker_that_finds_other_code_ends_the_run(project: Path) -> None:
    """Its message names the file; a file that is not on its machine is none it needs."""
    recorded = hashes([project / "own.py"])
    check_sources(recorded.items())
    (project / "helper.py").write_text("K = 3.0\n")
    with pytest.raises(SourceError, match=r"helper\.py was changed while the run goes on.*restore the file and resume"):
        check_sources(recorded.items())
    (project / "helper.py").unlink()
    check_sources(recorded.items())


def test_a_table_is_part_of_a_runs_identity(tmp_path: Path, nasbench201_table: Path) -> None:
    """Other numbers at the same path are another run, and are read anew within one process."""
    table = tmp_path / "nb.csv"
    text = gzip.decompress(nasbench201_table.read_bytes()).decode()
    table.write_text(text)
    run = 'evaluations = 3\nafter = {rescore = 0, plot = false}\nstrategy = {name = "random"}\n'
    (tmp_path / "run.toml").write_text(
        run + 'pool = {devices = "in-process"}\n[problem]\nname = "nasbench201"\ntable = "nb.csv"'
    )
    run_file(load_run_file(tmp_path / "run.toml"), tmp_path / "r", quiet=True)
    before = read_table(table, "cifar10")
    table.write_text(text.replace("93.", "92."))
    with pytest.raises(JournalError, match=r"nb\.csv is not the one that this run was started with"):
        resume(tmp_path / "r", ["evaluations=6"], quiet=True)
    assert read_table(table, "cifar10") != before


def test_a_run_follows_its_moved_table(tmp_path: Path, nasbench201_table: Path) -> None:
    """With its whole project, or to a place that is named; what lies there must be the recorded table."""
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    shutil.copy(nasbench201_table, project / "data" / "nb.csv.gz")
    run = 'evaluations = 3\nafter = {rescore = 0, plot = false}\nstrategy = {name = "random"}\n'
    (project / "run.toml").write_text(
        run + 'pool = {devices = "in-process"}\n[problem]\nname = "nasbench201"\ntable = "data/nb.csv.gz"'
    )
    run_file(load_run_file(project / "run.toml"), project / "r", quiet=True)
    moved = project.rename(tmp_path / "moved")
    resume(moved / "r", ["evaluations=5"], quiet=True)
    assert all(row.agrees for row in verify(moved / "r"))
    table = (moved / "data" / "nb.csv.gz").rename(tmp_path / "elsewhere.csv.gz")
    with pytest.raises(UninasEvoError, match=r"problem\.table"):
        resume(moved / "r", ["evaluations=7"], quiet=True)
    resume(moved / "r", ["evaluations=7", f"problem.table={table}"], quiet=True)
    other = tmp_path / "other.csv.gz"
    other.write_bytes(gzip.compress(gzip.decompress(table.read_bytes()).replace(b"93.", b"92.")))
    with pytest.raises(UninasEvoError):
        resume(moved / "r", ["evaluations=9", f"problem.table={other}"], quiet=True)


def test_a_folder_of_images_is_part_of_a_runs_identity(tmp_path: Path) -> None:
    """Names and contents count, also behind links; times, places and what systems leave do not."""
    data, other = tmp_path / "data", tmp_path / "other"
    (data / "train").mkdir(parents=True)
    (other / "cat").mkdir(parents=True)
    (data / "train" / "cat").symlink_to(other / "cat")
    (other / "cat" / "0.png").write_bytes(b"0")
    before = file_hash(data)
    os.utime(other / "cat" / "0.png", (0, 0))
    (data / ".DS_Store").write_bytes(b"x")
    assert file_hash(data) == before
    shutil.copytree(data, tmp_path / "copy")
    assert file_hash(tmp_path / "copy") == before
    (other / "cat" / "0.png").write_bytes(b"1")
    assert file_hash(data) != before
    (data / "train" / "again").symlink_to(data / "train")
    assert file_hash(data)
    assert changed({str(data): before}) == []
