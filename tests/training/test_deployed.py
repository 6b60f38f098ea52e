"""Exports in other numbers and for other runtimes, tested on data, and what a device takes for them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.compare.bench import KNOWN, PUBLISHED, Benched, Timing, bench, figure
from uninas_evo.errors import MissingExtraError, TrainingError
from uninas_evo.spaces.load import build
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.spaces.uninas.dialect import READY, adapted
from uninas_evo.training import formats
from uninas_evo.training.genomes import train_in_space
from uninas_evo.training.lowered import session
from uninas_evo.training.protocol import load_protocol
from uninas_evo.training.readers import read_splits

SKELETON = Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(16, 32), depths=(1, 1))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of three classes, told apart by a bright band, and a trained network of them."""
    from uninas_evo.spaces.uninas import UninasSpace

    folder = tmp_path_factory.mktemp("deployed")
    rng, labels = np.random.default_rng(0), np.arange(240) % 3
    images = rng.integers(0, 100, (240, 16, 16), dtype=np.uint8)
    for i, label in enumerate(labels):
        images[i, 5 * label : 5 * label + 5] += 120
    np.savez(folder / "d.npz", x_train=images[:180], y_train=labels[:180], x_test=images[180:], y_test=labels[180:])
    protocol = load_protocol("small").replace(epochs=6, batch_size=16)
    genome = preset("efficientnet", SKELETON)
    data = read_splits(folder / "d.npz", protocol.val_fraction)
    train_in_space(UninasSpace(genome), genome, data, protocol, folder / "trained")
    return folder


def call(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_every_onnx_form_is_tested(here: Path) -> None:
    """The accuracy of each is printed beside ours, none loses much here, and bench finds it in the file."""
    told = call(
        "export", here / "trained", "--to", "onnx", "--to", "onnx-fp16", "--to", "onnx-int8", "--data", here / "d.npz",
        "--out", here / "out", "--calibration", 64,
    )  # fmt: skip
    lines = told.splitlines()
    assert [line.split()[0] for line in lines] == ["trained", "onnx", "onnx-fp16", "onnx-int8"]
    accuracies = [float(line.split("accuracy ")[1].split("%")[0]) for line in lines]
    assert accuracies[0] == accuracies[1] > 80
    assert max(accuracies) - min(accuracies) < 4  # two of sixty images
    (found,) = bench([str(here / "out" / "network-int8.onnx")], repeats=2)
    assert found.error is not None
    assert abs(100 * (1 - found.error) - accuracies[3]) < 0.01
    notes = session(here / "out" / "network-int8.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(notes["genome"]) == preset("efficientnet", SKELETON).text


@pytest.mark.slow
def test_a_network_of_the_int8_dialect_computes_in_integers(tmp_path: Path) -> None:
    """Of its blocks nothing stays of 32 bits: Gelu and layer norms are the stem's and the head's alone."""
    import onnx
    import onnxruntime

    kinds = []
    for name in ("resnet", "efficientnet"):
        network = build(adapted(preset(name, SKELETON), READY["int8"]).text).eval()
        (path,) = formats.export(network, tmp_path / name, ["onnx-int8"], calibration=torch.randn(8, 3, 16, 16))
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        operators = [node.op_type for node in onnx.load(str(tmp_path / "optimized.onnx")).graph.node]
        kinds.append({one for one in operators if operators.count(one) and one in ("Conv", "Sigmoid", "Mul", "Gelu")})
    assert kinds == [{"Gelu"}, {"Gelu"}]


def test_missing_images_and_packages_are_told(here: Path, tmp_path: Path) -> None:
    """What is needed, and how to get it."""
    with pytest.raises(TrainingError, match="onnx-int8 is scaled to images of the data, got none"):
        formats.export(here / "trained", tmp_path, ["onnx-int8"])
    with pytest.raises(TrainingError, match="maps are written in the forms onnx and torch, got onnx-fp16"):
        formats.export(here / "trained", tmp_path, ["onnx-fp16"], maps=True)
    for form, package in (("executorch", "executorch"), ("litert", "litert_torch")):
        if importlib.util.find_spec(package) is None:
            with pytest.raises(MissingExtraError, match=rf"uninas-evo\[{form}\]"):
                formats.export(here / "trained", tmp_path, [form])


@pytest.mark.slow
def test_what_was_promised_stands_beside_what_is_measured(here: Path, tmp_path: Path) -> None:
    """The latency that a run had of the genome is found by the run whose folder the network lies in."""
    (tmp_path / "run.toml").write_text(
        'evaluations = 1\n[problem]\nstart = "efficientnet"\nobjective = "latency_ms"\n'
        "[problem.skeleton]\nimage_size = 16\nclasses = 3\nstem = [8, 8]\nchannels = [16, 32]\ndepths = [1, 1]\n"
        '[strategy]\nname = "random_walk"\n[after]\nrescore = 0\n'
    )
    call("run", tmp_path / "run.toml", "--out", tmp_path / "run", "-q")
    network = build((tmp_path / "run" / "winner.txt").read_text())
    (path,) = formats.export(network, tmp_path / "run" / "out", ["onnx"])
    told = call("bench", path, "--repeats", 2, "--plot", tmp_path / "bench.png")
    assert "ms (" in told
    assert "promised latency_ms" in told
    assert (tmp_path / "bench.png").stat().st_size > 0
    assert "promised" not in call("bench", here / "trained", "--repeats", 2, "--backend", "eager")


def test_errors_of_different_data_stand_in_different_panels() -> None:
    """Published ImageNet errors and those trained here share no axis; a network without an error is a line."""
    one = Benched("a", (3, 8, 8), 1.0, Timing(1.0, 0.9, 1.2), None, 0.3, PUBLISHED, {})
    other = Benched("b", (3, 8, 8), 1.0, Timing(2.0, 1.9, 2.2), None, 0.1, "as trained here", {})
    bare = Benched("c", (3, 8, 8), 1.0, Timing(3.0, 2.9, 3.2), None, None, "", {})
    drawn = figure([one, other, bare])
    assert [axes.get_ylabel() for axes in drawn.axes] == [f"error (%), {PUBLISHED}", "error (%), as trained here"]
    assert [[text.get_text() for text in axes.texts] for axes in drawn.axes] == [["a", "c"], ["b"]]


def test_known_networks_exist() -> None:
    """Every one is a network of its package."""
    timm, models = pytest.importorskip("timm"), pytest.importorskip("torchvision.models")
    for origin, error in KNOWN.values():
        kind, _, name = origin.partition(":")
        assert timm.is_model(name) if kind == "timm" else name in models.list_models()
        assert 0.2 < error < 0.35


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bench", "no.onnx"], "not an ONNX network"),
        (["bench", "torchvision:nothing"], "torchvision has no network"),
        (["bench", "resnet", "--backend", "tpu"], "a backend is one of ort, eager, compile"),
        (["export", "x", "--maps", "--data", "d"], "leave one out"),
    ],
)
def test_mistakes_are_one_message(words: list[str], message: str) -> None:
    """Exit code 2, and no traceback."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
