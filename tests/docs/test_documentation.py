"""Every command and snippet of the README and of docs/ runs as it stands, with tiny settings added.

A comment ``<!-- test: skip REASON -->`` before a code block leaves it out, ``<!-- test: with OPTIONS -->`` adds options
to each of its commands. Blocks of one page run in order in one empty folder that holds the repository's `runs` and
`examples`, as a reader would run them.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BLOCK = re.compile(r"(?:<!-- test: (?P<rule>.*?) -->\n+)?^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```", re.M | re.S)

TINY = {
    "run": "--set evaluations=6",
    "resume": "--set evaluations=8",
    "compare": "--set evaluations=6 --set seeds=2",
    "walk": "--steps 300",
    "audit": "--networks 4",
}
"""Options that make a command quick, by its name; the last one given wins."""
NOT_RUN = (
    "pip ",
    "git ",
    "cd ",
    "python -m venv",
    "source ",
    ". .venv",
    "pytest",
    "bash tests/check",
    "mkdocs ",
    "torchrun ",
)
"""Lines for a shell, which set up what the tests have already."""


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
    """The blocks of a page that are not marked to be skipped."""
    found = [Block(m["language"], m["code"], m["rule"] or "") for m in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    return [block for block in found if not block.rule.startswith("skip")]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_commands_and_snippets_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader copies works, in the order of the page."""
    for folder in ("runs", "examples"):
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
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
    """Runs one command line in this process; benchmarks only have to exist."""
    from uninas_evo.cli import app

    if words[0] == "python":
        assert (ROOT / words[1]).is_file(), f"{words[1]} does not exist"
        return
    assert words[0] == "uninas-evo", f"no test knows how to run {shlex.join(words)!r}"
    added = [*shlex.split(TINY.get(words[1], "")), *shlex.split(rule.removeprefix("with"))]
    result = CliRunner().invoke(app, [*words[1:], *added])
    assert result.exit_code == 0, f"{shlex.join(words)} {shlex.join(added)}\n{result.output}\n{result.exception!r}"


def test_links_lead_somewhere() -> None:
    """Every relative link and picture of the README and of docs/ exists."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), f"{page.name}: {target} does not exist"


def test_the_table_of_operations_is_complete() -> None:
    """docs/operations.md names every operation."""
    from uninas_evo.space import OPERATIONS

    table = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [name for name in OPERATIONS if f"`{name}`" not in table] == []
