"""One training protocol for all networks, so that their results can be compared.

- `Protocol`, `load_protocol`: every setting of a training, from a TOML file (`imagenet`, `small`, one's own)
- `read_splits`, `from_datasets`, `Splits`: data in a training, a validation and a test part
- `train`, `TrainResult`: the loop: checkpoints, exact resume, the test data read once
- `train_genome`: builds, initializes and trains a genome's network into a folder
- `export`, `load`: ONNX, `torch.export` and safetensors files; a network from its folder

Importing the package imports neither torch nor timm; a name does when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Protocol": "protocol",
    "load_protocol": "protocol",
    "Splits": "images",
    "from_datasets": "images",
    "read_splits": "readers",
    "TrainResult": "loop",
    "train": "loop",
    "train_genome": "genomes",
    "export": "formats",
    "load": "formats",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
