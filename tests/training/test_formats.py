"""Exports: what comes back computes what was saved."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from own_network import own

import uninas_evo
from uninas_evo.errors import TrainingError
from uninas_evo.spaces.stages.space import StagesSpace
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.network import Network, build
from uninas_evo.training import formats
from uninas_evo.training.genomes import initialized
from uninas_evo.training.protocol import load_protocol

SKELETON = Skeleton(image_size=16, classes=4, stem=(8, 8), channels=(32, 32), depths=(1, 1))
SPACE = UninasSpace(preset("coatnet", SKELETON))


@pytest.fixture
def network() -> Network:
    """A CoAtNet (convolutions and attention) whose batch norms have statistics of their own."""
    network = build(preset("coatnet", SKELETON), seed=1)
    network(torch.rand(8, 3, 16, 16))
    return network.eval()


def images(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("load", [formats.load, uninas_evo.load])
@pytest.mark.parametrize("name", ["", "weights.safetensors"])
def test_load_gives_the_network_back(network: Network, tmp_path: Path, name: str, load) -> None:  # type: ignore[no-untyped-def]
    """A folder, or its safetensors file alone, gives the same genome and the same outputs, bit for bit."""
    formats.save_weights(network, tmp_path, SPACE, network.genome)
    again = load(tmp_path / name)
    assert again.genome == network.genome
    assert not again.training
    assert torch.equal(again(images(3)), network(images(3)))
    assert (tmp_path / "genome.txt").read_text() == network.genome.text


def test_weights_tell_how_images_are_scaled(network: Network, tmp_path: Path) -> None:
    """The file of weights holds the mean and deviation that the network was trained with."""
    from safetensors import safe_open

    formats.save_weights(network, tmp_path, SPACE, network.genome, load_protocol("imagenet"), "abcd")
    with safe_open(str(tmp_path / "weights.safetensors"), "pt") as content:
        notes = json.loads(content.metadata()["images"])
    assert notes == {
        "size": [3, 16, 16], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "crop_mode": "center",
        "crop_pct": 0.95, "classes": ["a", "b", "c", "d"],
    }  # fmt: skip


def test_onnx_computes_the_same(network: Network, tmp_path: Path) -> None:
    """Onnxruntime gives the logits to 1e-4, for batches other than the one that was exported."""
    import onnxruntime

    (path,) = formats.export(network, tmp_path, ["onnx"])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for count in (1, 5):
        outputs = session.run(None, {"image": images(count).numpy()})[0]
        assert torch.allclose(torch.from_numpy(outputs), network(images(count)), atol=1e-4)


def test_program_computes_the_same(network: Network, tmp_path: Path) -> None:
    """The `torch.export` program gives the logits to 1e-4 without our package's modules."""
    (path,) = formats.export(network, tmp_path, ["torch"])
    program = torch.export.load(path).module()
    assert torch.allclose(program(images(5)), network(images(5)), atol=1e-4)


def test_a_wrong_export_is_refused(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exported network whose outputs differ by more than 1e-4 is not accepted."""
    wrong = network(torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))) + 2e-3
    monkeypatch.setattr(formats, "_write_onnx", lambda network, path: wrong.detach())
    with pytest.raises(
        TrainingError, match=r"the onnx network gives other outputs than ours: they must agree to 0.0001"
    ):
        formats.export(network, tmp_path, ["onnx"])
    with pytest.raises(TrainingError, match="there is no form 'tflite' to export to; use one of onnx, "):
        formats.export(network, tmp_path, ["tflite"])


def test_damaged_weights_are_told(network: Network, tmp_path: Path) -> None:
    """Missing, damaged and foreign weights are refused with the fix."""
    from safetensors.torch import save_file

    with pytest.raises(TrainingError, match=r"there are no trained weights at .*uninas-evo train GENOME --data"):
        formats.load(tmp_path)
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"damaged")
    with pytest.raises(TrainingError, match="holds no weights of a uninas-evo network"):
        formats.load(file)
    save_file({"a": torch.zeros(1)}, file)
    with pytest.raises(TrainingError, match="holds no weights of a uninas-evo network"):
        formats.load(file)
    other = preset("coatnet", Skeleton(16, 5, (8, 8), (32, 32), (1, 1)))
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, file, {"genome": other.text})
    with pytest.raises(TrainingError, match=r"(?s)holds no weights .*size mismatch"):
        formats.load(file)


def test_equal_networks_give_equal_files(network: Network, tmp_path: Path) -> None:
    """The bytes of the weights are the same from call to call."""
    for i in range(8):
        formats.save_weights(network, tmp_path / str(i), SPACE, network.genome, load_protocol("small"), "abcd")
    assert len({(tmp_path / str(i) / "weights.safetensors").read_bytes() for i in range(8)}) == 1


@pytest.mark.slow
def test_a_network_tells_what_it_takes_and_gives(network: Network, tmp_path: Path) -> None:
    """Size, mean, deviation and class names come back with the network and go into both exports."""
    import onnx

    formats.save_weights(network, tmp_path, SPACE, network.genome, load_protocol("small"), ["1", "10", "2", "x"])
    loaded = formats.load(tmp_path)
    told = loaded.preparation
    assert isinstance(told, formats.Preparation)
    assert (told.size, told.mean, told.classes) == ((3, 16, 16), (0.5, 0.5, 0.5), ("1", "10", "2", "x"))
    written, _ = formats.export(loaded, tmp_path / "out")
    notes = {entry.key: json.loads(entry.value) for entry in onnx.load(str(written)).metadata_props}
    assert notes["classes"] == ["1", "10", "2", "x"]
    assert notes["std"] == [0.5, 0.5, 0.5]
    assert json.loads((tmp_path / "out" / "preparation.json").read_text())["size"] == [3, 16, 16]


def test_networks_of_every_space_are_loaded_and_exported(tmp_path: Path) -> None:
    """Trained weights of a space whose texts tell it load by themselves, others with their space."""
    import onnxruntime

    stages, mine = StagesSpace((16,), classes=3), own()
    for space, given in ((stages, None), (mine, mine)):
        genome = space.sample(random.Random(1))
        trained = initialized(space, genome, 0).eval()
        folder = tmp_path / type(space).__name__
        formats.save_weights(trained, folder, space, genome, load_protocol("small"), "abc")
        again = formats.load(folder, given)
        probe = torch.randn(2, *space.image_of(genome), generator=torch.Generator().manual_seed(0))
        assert torch.equal(again(probe), trained(probe))
        (file,) = formats.export(again, folder, ["onnx"])
        (logits,) = onnxruntime.InferenceSession(str(file)).run(None, {"image": probe.numpy()})
        assert torch.allclose(torch.from_numpy(logits), trained(probe), atol=1e-4)
    with pytest.raises(TrainingError, match=r"of a space of one's own.*--space"):
        formats.load(tmp_path / "OwnSpace")
    with pytest.raises(TrainingError, match="Linear tells none: set its attribute preparation"):
        formats.export(torch.nn.Linear(2, 2), tmp_path, ["onnx"])
