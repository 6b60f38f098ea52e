"""Weights that candidates start from: handed down from a parent's network, kept in files that may vanish any time."""

from __future__ import annotations

import contextlib
import tempfile
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from uninas_evo.errors import JournalError
from uninas_evo.files import write_atomically

SUFFIX = ".safetensors"


@torch.no_grad()
def hand_down(parent: nn.Module, child: nn.Module) -> None:
    """Puts a parent's weights into a child that was initialized.

    Modules that know how take them over themselves (`inherit`, as UniNAS networks have it); of all others tensors of
    equal names and shapes are copied.
    """
    able = {name: module for name, module in child.named_modules() if hasattr(module, "inherit")}
    theirs = parent.state_dict()
    for name, tensor in child.state_dict().items():
        known = theirs.get(name)
        own = any(not prefix or name.startswith(f"{prefix}.") for prefix in able)
        if not own and known is not None and known.shape == tensor.shape:
            tensor.copy_(known)
    parts = dict(parent.named_modules())
    for name, module in able.items():
        if name in parts:
            module.inherit(parts[name])


class WeightCache:
    """Trained weights in files, the latest used of them: what is gone is trained again.

    Args:
        limit_bytes: what all files together may take; the newest one is kept whatever its size.

    Attributes:
        folder: where they lie, for all workers of a run; None for a folder of this process, gone with it.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.folder: Path | None = None

    @property
    def is_used(self) -> bool:
        """Whether a worker of the run has kept anything yet."""
        return "_own" in self.__dict__ or (self.folder is not None and self.folder.is_dir())

    @property
    def held_bytes(self) -> int:
        """What all files take."""
        return sum(size for _, size, _ in self._files())

    def load(self, key: str, network: nn.Module) -> bool:
        """Puts weights into a network; False where they are not there, or damaged."""
        path = self._path(key)
        try:
            network.load_state_dict(load(path.read_bytes()))
            path.touch()
        except (SafetensorError, RuntimeError, OSError):
            return False
        return True

    def save(self, key: str, network: nn.Module) -> None:
        """Keeps a network's weights, and removes the longest unused ones beyond the limit; a full disk keeps none."""
        content = save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})
        with contextlib.suppress(JournalError, OSError):
            write_atomically(self._path(key), lambda file: file.write(content))
            files = sorted(self._files())
            held = sum(size for _, size, _ in files)
            for _, size, path in files[:-1]:
                if held > self.limit_bytes:
                    path.unlink(missing_ok=True)
                    held -= size

    def _path(self, key: str) -> Path:
        return (self.folder or Path(self._own.name)) / f"{key}{SUFFIX}"

    def _files(self) -> list[tuple[float, int, Path]]:
        """Time of last use, bytes and path of every file."""
        found = []
        folder = self.folder or (Path(self._own.name) if self.is_used else None)
        for path in folder.glob(f"*{SUFFIX}") if folder else ():
            with contextlib.suppress(FileNotFoundError):  # another worker removed it
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
        return found

    @cached_property
    def _own(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="uninas-evo-")

    def __getstate__(self) -> dict[str, object]:
        """A folder of the process's own stays with it."""
        return {"limit_bytes": self.limit_bytes, "folder": self.folder}
