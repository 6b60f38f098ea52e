"""The user's own objective: a function of a built network or of a genome, by import path, by file, or as a callable.

    def score(network):                       # the built `torch.nn.Module`; a return of several named values is fine
    def score(genome: Genome):                # the genome, by annotation
    def evaluate(genome, device):             # full control: build, train and measure as you like

Source text is executed by `load` alone, never when a run file is read.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from uninas_evo.errors import ObjectiveError

Form = Literal["network", "genome", "genome and device"]


@dataclass(frozen=True)
class UserFunction:
    """A function that is loaded when it is first needed.

    Attributes:
        reference: "folder/file.py:function", "package.module:function", or the callable itself.
    """

    reference: str | Callable[..., Any]

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

    def load(self) -> Callable[..., Any]:
        """The function; this executes the user's file.

        Raises:
            ObjectiveError: there is no such file, module or function, or it cannot be imported.
        """
        if not isinstance(self.reference, str):
            return self.reference
        target, _, name = self.reference.rpartition(":")
        try:
            module = _load_file(Path(target)) if target.endswith(".py") else importlib.import_module(target)
        except Exception as error:  # whatever the user's file raises
            raise ObjectiveError(
                f"the objective {self.reference!r} cannot be imported: {type(error).__name__}: {error}; "
                f"write it as 'file.py:function' or 'package.module:function'"
            ) from error
        function = getattr(module, name, None)
        if not callable(function):
            raise ObjectiveError(f"the objective {self.reference!r} must be a function, and {name!r} is {function!r}")
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
        return "genome" if kind.rpartition(".")[2] == "Genome" else "network"
    raise ObjectiveError(
        f"an objective takes (network), (genome: Genome) or (genome, device), and "
        f"{getattr(function, '__name__', function)!r} takes {len(parameters)} arguments; give others a default"
    )


def named(raw: Any, name: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    """What a function returned, as named values: a single number gets the objective's name.

    Raises:
        ObjectiveError: a single number where several values were declared.
    """
    if isinstance(raw, Mapping):
        return dict(raw)
    if declared:
        raise ObjectiveError(
            f"{name} must return a mapping with the values {', '.join(declared)}, since they are declared; got {raw!r}"
        )
    return {name: raw}


def _load_file(path: Path) -> ModuleType:
    """Executes a file as a module; what lies beside it can be imported by it."""
    name = f"uninas_evo_objective_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec.loader.exec_module(module)
    return module


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
