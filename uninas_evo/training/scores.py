"""Scores of a classifier beside its accuracy, for classes that are not equally many."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uninas_evo.training.extras import need


def macro_f1(logits: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    """Mean over the classes of the F1 score, the harmonic mean of precision and recall.

    Args:
        logits: (T, K).
        labels: (T,); classes that neither stand here nor are predicted are left out.
    """
    score = need("sklearn.metrics").f1_score(labels, logits.argmax(1), average="macro", zero_division=0)
    return float(score)


def macro_auc(logits: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float | None:
    """Mean over the classes of the area under the ROC curve, each class against the rest.

    Args:
        logits: (T, K), turned into probabilities.
        labels: (T,).

    Returns:
        None where a class has no image or there is one class alone: no curve can be drawn.
    """
    classes = logits.shape[1]
    if classes < 2 or len(np.unique(labels)) < classes:
        return None
    odds = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = odds / odds.sum(1, keepdims=True)
    score = need("sklearn.metrics").roc_auc_score
    areas = [score(labels == k, probabilities[:, k]) for k in range(classes)]
    return float(np.mean(areas))


def mean_average_precision(logits: npt.NDArray[np.float64], tags: npt.NDArray[np.float32]) -> float | None:
    """Mean over the tags of the average precision, the area under the curve of precision over recall.

    Args:
        logits: (T, K).
        tags: (T, K), each 0 or 1; those that no image has are left out.

    Returns:
        None where no image has any.
    """
    there = np.flatnonzero(tags.any(0))
    score = need("sklearn.metrics").average_precision_score
    return float(np.mean([score(tags[:, k], logits[:, k]) for k in there])) if len(there) else None


def tag_f1(logits: npt.NDArray[np.float64], tags: npt.NDArray[np.float32]) -> float:
    """Mean over the tags (T, K) of their F1 score, a logit above 0 says that a tag holds."""
    return float(need("sklearn.metrics").f1_score(tags > 0, logits > 0, average="macro", zero_division=0))


def tag_auc(logits: npt.NDArray[np.float64], tags: npt.NDArray[np.float32]) -> float | None:
    """Mean over the tags (T, K) of the area under the ROC curve; None where a tag holds for all images or none."""
    if (tags.min(0) == tags.max(0)).any():
        return None
    score = need("sklearn.metrics").roc_auc_score
    return float(np.mean([score(tags[:, k], logits[:, k]) for k in range(tags.shape[1])]))


def balanced_weights(labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float64]:
    """A weight (K,) for each class, T / (K · its images): each class counts alike, and the mean over images is 1."""
    return balanced(np.bincount(labels, minlength=classes))


def balanced(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The same from how many there are of each class (K,)."""
    weights: npt.NDArray[np.float64] = counts.sum() / (len(counts) * np.maximum(counts, 1))
    return weights
