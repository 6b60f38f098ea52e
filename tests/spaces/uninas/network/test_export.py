"""Networks go through torch.compile, torch.export and ONNX."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from uninas_evo.spaces.uninas import PRESETS, Genome, Skeleton, preset
from uninas_evo.spaces.uninas.network import build
from uninas_evo.spaces.uninas.network.onnx import export_onnx

if TYPE_CHECKING:
    from conftest import Genomes

Images = Callable[[Genome, int], Tensor]
SMALL = Skeleton(32, 10, (8, 16), (32, 64), (1, 1))


def walks(genomes: Genomes) -> list[Genome]:
    """Two walks, one of them with zeros."""
    return [
        genomes.walked("coatnet", SMALL, 60, seed=0),
        genomes.zeroed(genomes.walked("vit", SMALL, 40, 1), 3, seed=0),
    ]


@pytest.mark.slow
def test_onnx_files_give_the_same_logits(genomes: Genomes, images: Images, tmp_path: Path) -> None:
    """The exported file, run by onnxruntime, agrees to 1e-4 at the traced batch size and at another."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'uninas-evo[train]'")
    for number, genome in enumerate([preset(name, SMALL) for name in PRESETS] + walks(genomes)):
        network = build(genome)
        path = tmp_path / f"{number}.onnx"
        export_onnx(network, path, network.genome.skeleton.image)
        assert network.training
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        network.eval()
        for count in (2, 3):
            x = images(genome, count)
            (logits,) = session.run(None, {"image": x.numpy()})
            torch.testing.assert_close(torch.from_numpy(logits), network(x).detach(), rtol=1e-4, atol=1e-4)


def test_torch_export_keeps_the_logits(genomes: Genomes, images: Images) -> None:
    """An exported program gives the same logits, for any batch size."""
    for genome in walks(genomes):
        network, x = build(genome).eval(), images(genome, 2)
        batch = {0: torch.export.Dim("batch", min=2, max=64)}
        program = torch.export.export(network, (x,), dynamic_shapes=(batch,))
        y = images(genome, 5)
        torch.testing.assert_close(program.module()(y), network(y), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PRESETS)
def test_compiled_networks_train_alike(genomes: Genomes, images: Images, name: str) -> None:
    """`torch.compile` takes the whole network as one graph and gives equal logits and gradients."""
    genome = genomes.walked(name, SMALL, 4, seed=0)
    results = []
    for compiles in (False, True):
        network = copy.deepcopy(build(genome)).eval()  # dropout's draws differ between the two
        run = torch.compile(network, fullgraph=True, backend="aot_eager") if compiles else network
        logits = run(images(genome, 2))
        logits.square().sum().backward()
        results.append([logits.detach()] + [p.grad for p in network.parameters() if p.requires_grad])
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-4)
    torch.compiler.reset()
