"""Scores beside accuracy, and weights of classes that are not equally many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from uninas_evo.training import loop
from uninas_evo.training.fit import Fit
from uninas_evo.training.images import Splits
from uninas_evo.training.process import Process
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.scores import balanced_weights, macro_auc, macro_f1


def test_scores_are_their_definitions() -> None:
    """F1 and AUC of a small example, by hand; a class without images has no curve."""
    logits = np.asarray([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.0]])
    labels = np.asarray([0, 0, 1, 1])
    assert macro_f1(logits, labels) == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert macro_auc(logits, labels) == 1.0
    assert macro_auc(logits, np.zeros(4, int)) is None


def test_balanced_weights_make_classes_count_alike() -> None:
    """Weight times images is the same for each class, and the mean over images is 1."""
    labels = np.asarray([0] * 90 + [1] * 10)
    weights = balanced_weights(labels, 2)
    assert weights[0] * 90 == pytest.approx(weights[1] * 10)
    assert weights[labels].mean() == pytest.approx(1)


def test_a_training_reports_them(
    splits: Splits, protocol: Protocol, make_net: Callable[..., nn.Module], tmp_path: Path
) -> None:
    """The result of a training holds accuracy, F1 and AUC of the test images, and weights reach the loss."""
    settings = protocol.replace(epochs=2, class_weights="balanced")
    result = loop.train(make_net(), splits, settings, tmp_path, image_size=16)
    assert result.test_f1 is not None
    assert result.test_auc is not None
    assert 0 <= result.test_f1 <= 1
    fit = Fit(make_net(), splits, settings, 16, 0, Process(torch.device("cpu")))
    assert torch.allclose(fit.task.criterion.weight, torch.ones(3), atol=0.1)
    watched = replace(splits, val=splits.test)
    fit = Fit(fit.network, watched, settings, 16, 0, Process(torch.device("cpu")))
    assert fit.task.test(fit.network)["accuracy"] == pytest.approx(fit.task.validate(fit.network)["val_accuracy"])
