"""A bias table costs what is added: every value, also where it stands outside attention."""

from __future__ import annotations

from uninas_evo.spaces.uninas import OPERATIONS, PRESETS, preset


def test_every_value_gets_its_bias() -> None:
    """C·H·W additions; inside attention C is 1, so that presets cost what the paper counts."""
    operation = OPERATIONS["relposbias"]
    assert operation.flops(64, 16, 16) == 64 * 16 * 16
    assert operation.flops(1, 16, 16) == 16 * 16
    flops = {name: preset(name).flops for name in PRESETS}
    assert flops == {
        "resnet": 9_051_143_680,
        "efficientnet": 6_176_844_160,
        "vit": 18_673_919_744,
        "coatnet": 8_525_615_264,
    }
