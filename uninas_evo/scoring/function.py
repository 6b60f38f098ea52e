"""The user's own objective: a function of a built network or of a genome, by import path, by file, or as a callable.

    def score(network):                       # the built `torch.nn.Module`; a return of several named values is fine
    def score(genome: Genome):                # the genome, by annotation
    def evaluate(genome, device):             # full control: build, train and measure as you like

Source text is executed by `load` alone, never when a run file is read.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from uninas_evo.contracts import Objective, Scorer, Space, Subject
from uninas_evo.errors import ObjectiveError
from uninas_evo.mistakes import nearest
from uninas_evo.sources import changed, hashes, is_own

Form = Literal["network", "genome", "genome and device"]


@dataclass(frozen=True)
class UserFunction:
    """A function that is loaded when it is first needed.

    Attributes:
        reference: "folder/file.py:function", "package.module:function", or the callable itself.
        what: what messages call it.
    """

    reference: str | Callable[..., Any]
    what: str = "objective"

    @property
    def name(self) -> str:
        """What the objective is called: the function's name."""
        if isinstance(self.reference, str):
            return self.reference.rpartition(":")[2]
        return str(getattr(self.reference, "__name__", type(self.reference).__name__))

    @property
    def file(self) -> Path | None:
        """The file that holds the function, found without importing it; None for a callable."""
        if not isinstance(self.reference, str):
            return None
        target = self.reference.rpartition(":")[0]
        return Path(target) if target.endswith(".py") else _module_file(target)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are executed to load the function: of a module also those of the packages around it."""
        if self.file is None or not isinstance(self.reference, str):
            return ()
        if self.reference.rpartition(":")[0].endswith(".py"):
            return (self.file,)
        depth = self.reference.rpartition(":")[0].count(".") + (self.file.name == "__init__.py")
        around = [folder / "__init__.py" for folder in reversed(self.file.parents[:depth])]
        return (*(one for one in around if one.is_file() and one != self.file), self.file)

    def beside(self) -> AbstractContextManager[None]:
        """Inside, modules that lie beside the function's file can be imported."""
        file = self.reference.rpartition(":")[0] if isinstance(self.reference, str) else ""
        return _beside(Path(file).absolute().parent) if file.endswith(".py") else nullcontext()

    def load(self) -> Callable[..., Any]:
        """The function; this executes the user's file.

        Raises:
            ObjectiveError: there is no such file, module or function, or it cannot be imported.
        """
        if not isinstance(self.reference, str):
            return self.reference
        target, _, name = self.reference.rpartition(":")
        try:
            with self.beside():
                module = _load_file(Path(target)) if target.endswith(".py") else _import_module(target)
        except ObjectiveError:
            raise
        except Exception as error:  # whatever the user's file raises
            raise ObjectiveError(
                f"the {self.what} {self.reference!r} cannot be imported: {type(error).__name__}: {error}; "
                f"write it as 'file.py:function' or 'package.module:function'"
            ) from error
        if not hasattr(module, name):
            own = [one for one, value in vars(module).items() if callable(value) and one[0] != "_"]
            raise ObjectiveError(
                f"{target} has no {name!r}: it has {', '.join(own) or 'no function'}{nearest(name, own)}"
            )
        function = getattr(module, name)
        if not callable(function):
            raise ObjectiveError(f"the {self.what} {self.reference!r} must be a function, and {name!r} is {function!r}")
        loaded: Callable[..., Any] = function
        return loaded


def form_of(function: Callable[..., Any]) -> Form:
    """What a function takes, by its parameters: two are (genome, device); one is the genome if annotated so.

    Raises:
        ObjectiveError: it takes neither one nor two arguments.
    """
    parameters = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    if len(parameters) == 2:
        return "genome and device"
    if len(parameters) == 1:
        annotation = parameters[0].annotation
        kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
        if kind in _NO_NETWORKS:
            raise ObjectiveError(
                f"an objective's one argument is a network (nn.Module) or a genome (Genome), and "
                f"{getattr(function, '__name__', function)!r} has {kind!r} there; change the annotation or leave it out"
            )
        return "genome" if kind.rpartition(".")[2] in ("Genome", "Chosen") else "network"
    raise ObjectiveError(
        f"an objective takes (network), (genome: Genome) or (genome, device), and "
        f"{getattr(function, '__name__', function)!r} takes {len(parameters)} arguments; give others a default"
    )


class FunctionScorer(Scorer):
    """Scores by a function of the user's own.

    Args:
        function: what computes the values.
        objectives: the values that count; other names than theirs, and theirs with `_se` behind, are refused.
        several: whether the function must return a mapping.
        more: further names that it may return: those that constraints bound.
    """

    def __init__(
        self,
        function: UserFunction,
        objectives: Sequence[Objective],
        *,
        several: bool = False,
        more: Sequence[str] = (),
    ) -> None:
        self.function, self.objectives, self.several = function, tuple(objectives), several
        self.more = tuple(more)
        self.sources = function.files

    def prepare(self, space: Space[Any], device: str) -> None:
        """Imports the function, and torch where it takes a network."""
        if form_of(self._loaded) == "network":
            import torch  # noqa: F401

    @cached_property
    def _loaded(self) -> Callable[..., Any]:
        return self.function.load()

    def __getstate__(self) -> dict[str, Any]:
        """The loaded function stays behind: each worker loads its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_loaded"}

    def score(self, subject: Subject, device: str) -> Mapping[str, float]:
        """What the function returns, by name."""
        with self.function.beside():
            match form_of(self._loaded):
                case "network":
                    raw = self._loaded(subject.network().to(device))
                case "genome":
                    raw = self._loaded(subject.genome)
                case _:
                    raw = self._loaded(subject.genome, device)
        return named(
            raw, self.function.name, [one.name for one in self.objectives], several=self.several, more=self.more
        )


def named(raw: Any, name: str, declared: Sequence[str], *, several: bool, more: Sequence[str] = ()) -> dict[str, Any]:
    """What a function returned, as named values: a single number gets the objective's name.

    Raises:
        ObjectiveError: a single number where several values were declared, or a value that was not declared.
    """
    if not isinstance(raw, Mapping):
        if several:
            raise ObjectiveError(
                f"{name} must return a mapping with the values {', '.join(declared)}, since they are declared; "
                f"got {raw!r}"
            )
        return {name: raw}
    allowed = {*more, *declared, *(f"{one}_se" for one in declared)}
    for unknown in sorted(map(str, raw.keys() - allowed)):
        raise ObjectiveError(
            f"{name} may return only what it declares ({', '.join(declared)}, and their standard errors with _se "
            f"behind), got {unknown!r}; declare it under `values`, or leave it out"
        )
    return dict(raw)


_NO_NETWORKS = ("int", "float", "str", "bool", "bytes", "list", "tuple", "dict", "set", "Tensor", "torch.Tensor")
"""Annotations that neither a network nor a genome has."""
_HELPERS: dict[Path, dict[str, ModuleType]] = {}
"""The modules that were imported from a folder of the user's: two folders may have helpers of one name."""
_IMPORTED: dict[str, dict[str, str]] = {}
"""The hashes of the files that a module of the user's had when this process imported it first."""


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Inside, what lies in a folder can be imported, whatever another folder has under the same names."""
    path, own = list(sys.path), _importable(folder)
    compiled = sys.dont_write_bytecode, sys.pycache_prefix
    hidden = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in own}
    for name in hidden:
        del sys.modules[name]
    sys.modules.update(_HELPERS.get(folder, {}))
    sys.path.insert(0, str(folder))
    # Compiled files tell changes by whole seconds and sizes, so that an old one may stand for changed code.
    sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull
    try:
        yield
    finally:
        sys.path[:] = path
        sys.dont_write_bytecode, sys.pycache_prefix = compiled
        for name in [name for name in sys.modules if name.partition(".")[0] in own]:
            _HELPERS.setdefault(folder, {})[name] = sys.modules.pop(name)
        sys.modules.update(hidden)


@cache
def _importable(folder: Path) -> frozenset[str]:
    """The names under which files and packages of a folder are imported; the library's own and Python's stay theirs."""
    files = {path.stem for path in folder.glob("*.py")}
    packages = {path.parent.name for path in folder.glob("*/*.py")}
    return frozenset(files | packages) - sys.stdlib_module_names - {"uninas_evo"}


def _import_module(target: str) -> ModuleType:
    """Imports a module by name, which executes it once a process.

    Raises:
        ObjectiveError: this process imported it before its files were changed.
    """
    module = importlib.import_module(target)
    file = _module_file(target)
    known = _IMPORTED.setdefault(target, {} if file is None else hashes([file]))
    for path in changed(known):
        raise ObjectiveError(
            f"{path} was changed after this process imported {target!r}: what runs is the older version; "
            f"start Python anew"
        )
    return module


def _load_file(path: Path) -> ModuleType:
    """Executes a file as a module; what lies beside it can be imported by it, anew where that was changed."""
    folder = path.absolute().parent
    if changed(_IMPORTED.get(str(folder), {})):
        for name in _HELPERS.pop(folder, {}):
            sys.modules.pop(name, None)
    _IMPORTED.setdefault(str(folder), {}).update(hashes([path.absolute()]))
    name = f"uninas_evo_objective_{path.stem}_{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    before = {*sys.modules, name}
    sys.modules[name] = module
    spec.loader.exec_module(module)
    _check_imported(path, sys.modules.keys() - before)
    return module


def _check_imported(path: Path, names: Iterable[str]) -> None:
    """What a file imported of the user's own must be known from its text.

    Raises:
        ObjectiveError: a module came from elsewhere, so that a change in it would not be noticed.
    """
    others = [sys.modules[name] for name in names if name.split(".")[0] != __name__.split(".")[0]]  # but this library
    files = {str(file) for module in others if (file := getattr(module, "__file__", None))}
    files = {file for file in files if os.path.isabs(file)}  # others, such as torch.classes, were never loaded from one
    own = [file for file in sorted(files) if is_own(Path(file))]
    known = {os.path.realpath(one) for one in _IMPORTED[str(path.absolute().parent)]}
    for file in own:
        if os.path.realpath(file) not in known:
            raise ObjectiveError(
                f"{path} imports {file}, which cannot be seen in its text, so that a change there would mix two "
                f"versions in one run; put it beside {path.name}, or its folder into PYTHONPATH"
            )


def _module_file(name: str) -> Path | None:
    """The file of a module, found without importing it or its packages."""
    search: Any = None
    spec = None
    for part in range(1, name.count(".") + 2):
        spec = importlib.machinery.PathFinder.find_spec(".".join(name.split(".")[:part]), search)
        if spec is None:
            return None
        search = spec.submodule_search_locations
    return Path(spec.origin) if spec and spec.origin else None
