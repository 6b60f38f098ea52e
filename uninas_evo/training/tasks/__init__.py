"""What a training learns: one contract, and its tasks by name.

- `task`: the contract: data, network, loss, metrics
- `whole`: what the next three share, which say something of a whole image
- `classification`: a class for every image
- `multilabel`: tags for every image
- `regression`: numbers for every image
- `detection`: Mask R-CNN (torchvision) on a network's stage maps: boxes, masks, classes
- `segmentation`: UperNet (segmentation-models-pytorch) on them: a class for every pixel
- `backbone`: the stage maps of any network that has them
- `parts`, `objects`, `masks`: data of detection and segmentation; `coco`, `voc`: their readers
- `scenes`: scenes of Fashion-MNIST garments, a small task that needs no download
"""

from __future__ import annotations

import importlib

from uninas_evo.training.tasks.task import Task

_HOMES = {
    "classification": "Classification",
    "multilabel": "Multilabel",
    "regression": "Regression",
    "detection": "Detection",
    "segmentation": "Segmentation",
}
"""The class of each task, in the module of its name."""


def task_class(name: str) -> type[Task]:
    """The class of a task; its module, which may need optional packages, is imported when it is asked for."""
    module = importlib.import_module(f"{__name__}.{name}")
    found: type[Task] = getattr(module, _HOMES[name])
    return found
