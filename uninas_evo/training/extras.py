"""Optional packages of the extras `train` and `downstream`, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from uninas_evo.errors import MissingExtraError

DOWNSTREAM = ("faster_coco_eval", "segmentation_models_pytorch", "torchmetrics", "torchvision")
"""Packages of detection and segmentation; torchvision comes with `train` too."""


def need(module: str, extra: str = "") -> Any:
    """Imports a module of an extra, such as "timm.data".

    Args:
        module: its name.
        extra: which brings it; unset: `downstream` for its packages, else `train`.

    Raises:
        MissingExtraError: its package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(package, extra or ("downstream" if package in DOWNSTREAM else "train")) from error
