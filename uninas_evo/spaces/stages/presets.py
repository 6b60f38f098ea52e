"""Known networks that lie in the macro space, at the sizes of ImageNet.

Sources: Sandler et al., "MobileNetV2", table 2 (3,504,872 parameters at width 1.0); He et al., ResNet-18 (11,689,512);
Touvron et al., "DeiT", arXiv 2012.12877: DeiT-Ti has 5,717,416, here without class token and its position (384 fewer)
and with 4 heads of 48 channels in place of 3 of 64, which are as many parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Stage = Mapping[str, Any]


def _choices(stem: str, width: int, head: str, *stages: Stage) -> dict[str, Any]:
    general = {"image": 224, "multiplier": 1.0, "stem": stem, "stem_width": width, "head": head, "stages": len(stages)}
    return general | {f"{name}_{n}": value for n, stage in enumerate(stages, 1) for name, value in stage.items()}


def _inverted(expansion: int, width: int, depth: int, stride: int) -> Stage:
    rest = {"kernel": 3, "expansion": expansion, "squeeze": 0.0, "shortcut": "identity"}
    return {"kind": "inverted", "depth": depth, "width": width, "stride": stride} | rest


def _plain(width: int, stride: int) -> Stage:
    shape = {"kind": "conv", "depth": 2, "width": width, "stride": stride}
    return shape | {"kernel": 3, "squeeze": 0.0, "shortcut": "conv"}


_ATTENTION = {"kind": "transformer", "depth": 4, "width": 192, "stride": 1, "expansion": 4, "heads": 4}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "mobilenet_v2": _choices(
        "conv3_half",
        32,
        "conv1280",
        _inverted(1, 16, 1, 1),
        _inverted(6, 24, 2, 2),
        _inverted(6, 32, 3, 2),
        _inverted(6, 64, 4, 2),
        _inverted(6, 96, 3, 1),
        _inverted(6, 160, 3, 2),
        _inverted(6, 320, 1, 1),
    ),
    "resnet18": _choices("conv7_pool", 64, "pool", _plain(64, 1), _plain(128, 2), _plain(256, 2), _plain(512, 2)),
    "vit_tiny": _choices("patch16", 192, "norm", _ATTENTION, _ATTENTION, _ATTENTION),
}
"""The choices of each preset, by name."""
