"""Optional packages of the `train` extra, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from uninas_evo.errors import MissingExtraError


def need(module: str) -> Any:
    """Imports a module of the `train` extra, such as "timm.data".

    Raises:
        MissingExtraError: its package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(module.partition(".")[0], "train") from error
