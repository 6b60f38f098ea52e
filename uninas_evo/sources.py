"""What a run's numbers depend on beside the library: files of the user's, and the modules of theirs that these import.

Imports are read from the source text, never executed: whose code it is can be asked before any of it runs.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import all_suffixes
from pathlib import Path

MISSING = "missing"
"""Stands for the hash of a file that is not there."""


def hashes(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 by path of files and of the user's own modules that they import.

    The order follows from the contents alone: two places hold the same code exactly when the values are equal in order.
    """
    found: dict[str, str] = {}
    for path in paths:
        for file in closure(path):
            found.setdefault(str(file), file_hash(file))
    return found


def file_hash(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all in a folder; `MISSING` where there is neither."""
    if path.is_dir():
        return _folder_hash(path)
    if not path.is_file():
        return MISSING
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_hash(folder: Path) -> str:
    """Of a folder with more than `LARGE_BYTES`, names and sizes stand for the contents; hidden files do not count."""
    facts = sorted((str(file.relative_to(folder)), file.stat()) for file in _inside(folder))
    state = repr([(name, one.st_size, one.st_mtime_ns) for name, one in facts])
    known = _FOLDERS.get(folder)
    if known is None or known[0] != state:
        whole = sum(one.st_size for _, one in facts) <= LARGE_BYTES
        total = hashlib.sha256()
        for name, one in facts:
            content = file_hash(folder / name) if whole else str(one.st_size)
            total.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
        known = _FOLDERS[folder] = state, total.hexdigest()
    return known[1]


def _inside(folder: Path) -> Iterator[Path]:
    """Files below a folder, also behind links, each folder once; no hidden ones."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
        files = [] if real in seen else [Path(place, name) for name in names if not name.startswith(".")]
        yield from (file for file in files if file.is_file())
        seen.add(real)


LARGE_BYTES = 4 * 10**9
"""Reading more at every start would take longer than a person waits."""
_FOLDERS: dict[Path, tuple[str, str]] = {}
"""Names, sizes and times of a folder's files, and its hash: a comparison asks for it with every run."""


def changed(recorded: Mapping[str, str]) -> list[str]:
    """Paths whose files are there and are not the recorded ones; folders are for the run to check, not each worker."""
    now = {path: file_hash(Path(path)) for path in recorded if not Path(path).is_dir()}
    return [path for path, digest in recorded.items() if now.get(path, MISSING) not in (digest, MISSING)]


def closure(file: Path) -> list[Path]:
    """A file, and what it imports of the user's own: from its folder or the search path, outside installed packages."""
    found, waiting = [file], [file]
    root = _root(file)
    while waiting:
        for one in _imported(waiting.pop(0), root):
            if one not in found:
                found.append(one)
                waiting.append(one)
    return found


def _root(file: Path) -> Path:
    """The folder that holds a file's outermost package; of a file outside any package its own."""
    folder = file.parent
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        folder = folder.parent
    return folder


def _imported(file: Path, root: Path) -> Iterator[Path]:
    if file.suffix != ".py":
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # importing it will tell
    named = list(_named(tree, file.parent))
    yield from (path for path in named if path.is_file())
    bases = list(dict.fromkeys([file.parent, root, *(path for path in named if path.is_dir()), *_search_path()]))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parent
            for _ in range(node.level - 1):
                base = base.parent
            for alias in node.names:
                yield from _files([base], ".".join(filter(None, (node.module, alias.name))))
        else:
            for name in _names(node):
                if name.partition(".")[0] not in sys.stdlib_module_names | {"uninas_evo"}:
                    yield from _files(bases, name)


def _named(tree: ast.AST, folder: Path) -> Iterator[Path]:
    """Python files and folders beside a file that its texts name: they may be put on the search path, or loaded."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if 0 < len(text) < 256 and "\0" not in text and text.strip("./"):
                path = folder / text
                if (path.suffix == ".py" and path.is_file()) or path.is_dir():
                    yield path.resolve()


def _names(node: ast.AST) -> list[str]:
    """The modules that a node imports by absolute names; what follows "from" may be one as well."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), names=names):
            return [f"{module}.{alias.name}" for alias in names]
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def _files(bases: Iterable[Path], name: str) -> list[Path]:
    """The files of a module and of the packages around it, in the first base that has any."""
    for base in bases:
        found, place = [], base
        for part in name.split("."):
            place = place / part
            ends = [place / "__init__.py", *(place.with_name(part + suffix) for suffix in all_suffixes())]
            found += [end for end in ends if end.is_file()][:1]
        if found:
            return found
    return []


def _search_path() -> list[Path]:
    """Folders that modules are imported from, without those of Python and of installed packages."""
    folders = [Path(entry).absolute() for entry in sys.path if not entry or Path(entry).is_dir()]
    own = Path(__file__).resolve().parent.parent
    return [one for one in folders if own != one.resolve() and is_own(one)]


def is_own(path: Path) -> bool:
    """Whether a file or folder is the user's: neither Python's nor that of an installed package."""
    installed = [Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    return not {"site-packages", "dist-packages"} & set(path.parts) and not any(
        map(path.resolve().is_relative_to, installed)
    )
