"""Object detection and instance segmentation: Mask R-CNN (He et al., arXiv 1703.06870) on a network's stage maps."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uninas_evo.errors import DataError
from uninas_evo.training.batches import Plan, eval_plans
from uninas_evo.training.extras import need
from uninas_evo.training.pixels import shown
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.randomness import seeded
from uninas_evo.training.tasks.average_precision import average_precision
from uninas_evo.training.tasks.backbone import MULTIPLE, Backbone, Headed
from uninas_evo.training.tasks.coco import is_coco, read_coco
from uninas_evo.training.tasks.objects import ObjectSet, encoded
from uninas_evo.training.tasks.parts import Parts, color
from uninas_evo.training.tasks.task import Metrics, Scores, Setting, Task
from uninas_evo.training.tasks.voc import is_voc, read_voc

RATIOS = (0.5, 1.0, 2.0)
"""Heights to widths of anchors: Faster R-CNN's."""
BOX_SIDE, MASK_SIDE = 7, 14
"""Positions of a side that a proposal is pooled to, for boxes and for masks: Mask R-CNN's."""
MASK_LAYERS = 4
"""Convolutions of the mask head: Mask R-CNN's."""

Targets = list[dict[str, Tensor]]
Keys = Sequence[tuple[int, ...]]


class _Pyramid(nn.Module):
    """A backbone's maps at one width, and one more of twice the stride, named as torchvision's detectors want them."""

    def __init__(self, backbone: Backbone, width: int) -> None:
        super().__init__()
        pyramid = need("torchvision.ops.feature_pyramid_network")
        self.body = backbone
        self.fpn = pyramid.FeaturePyramidNetwork(list(backbone.channels), width, pyramid.LastLevelMaxPool())
        self.out_channels = width

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """(N, 3, H, W) to maps (N, width, H / stride, W / stride)."""
        maps: OrderedDict[str, Tensor] = self.fpn(OrderedDict((str(i), m) for i, m in enumerate(self.body(images))))
        return maps


class Detector(Headed):
    """Torchvision's Mask R-CNN, or Faster R-CNN where there are no masks, on a backbone.

    In training an image's loss is its own: proposals and heads see one image after the other, each with a seed of its
    own, so that neither the images beside it nor the number of processes change it.

    Args:
        backbone: gives the maps.
        classes: K, without the background.
        protocol: sizes, widths, how pixels are scaled, and whether there are masks.
    """

    def __init__(self, backbone: Backbone, classes: int, protocol: Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        detection = need("torchvision.models.detection")
        pool = need("torchvision.ops").MultiScaleRoIAlign
        table = protocol.detection
        levels = [str(level) for level in range(len(backbone.channels))]
        strides = (*backbone.strides, 2 * backbone.strides[-1])
        box_head = detection.faster_rcnn.TwoMLPHead(table.width * BOX_SIDE**2, table.hidden)
        options: dict[str, Any] = {
            "min_size": table.sizes or protocol.image_size,
            "max_size": table.max_size,
            "size_divisible": MULTIPLE,
            "image_mean": _three(protocol.mean),
            "image_std": _three(protocol.std),
            "rpn_anchor_generator": detection.anchor_utils.AnchorGenerator(
                tuple((round(table.anchor * stride),) for stride in strides), (RATIOS,) * len(strides)
            ),
            "rpn_batch_size_per_image": table.anchors_sampled,
            "rpn_pre_nms_top_n_train": 2 * table.proposals,
            "rpn_pre_nms_top_n_test": table.proposals,
            "rpn_post_nms_top_n_train": table.proposals,
            "rpn_post_nms_top_n_test": table.proposals,
            "box_roi_pool": pool(levels, BOX_SIDE, 2),
            "box_head": box_head,
            "box_predictor": detection.faster_rcnn.FastRCNNPredictor(table.hidden, classes + 1),
            "box_batch_size_per_image": table.proposals_sampled,
            "box_detections_per_img": table.found,
            "box_score_thresh": table.score,
        }
        if table.masks:
            rcnn = detection.mask_rcnn
            options |= {
                "mask_roi_pool": pool(levels, MASK_SIDE, 2),
                "mask_head": rcnn.MaskRCNNHeads(table.width, (table.width,) * MASK_LAYERS, 1),
                "mask_predictor": rcnn.MaskRCNNPredictor(table.width, table.width, classes + 1),
            }
        make = detection.MaskRCNN if table.masks else detection.FasterRCNN
        self.model: Any = make(_Pyramid(backbone, table.width), **options)

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        """Gives the maps."""
        body: Backbone = self.model.backbone.body
        return body

    def forward(self, images: list[Tensor], targets: Targets | None = None, keys: Keys = ()) -> Any:
        """In training the mean loss () of images; in evaluation what is found in each.

        Args:
            images: floats (3, H, W) from 0 to 1, each of a size of its own.
            targets: of each image boxes (n, 4), labels (n,) from 1 and, with masks, masks (n, H, W).
            keys: of the seed of each image.

        Returns:
            In evaluation a dictionary an image: boxes (n, 4), labels (n,) from 1, scores (n,), masks (n, 1, H, W) of
            probabilities.
        """
        if not self.training:
            return self._found(images)
        if targets is None:
            raise ValueError("training needs the objects of every image")
        batch, targets = self.model.transform(images, targets)
        maps = self.model.backbone(batch.tensors)
        losses = []
        for place, key in enumerate(keys):
            with seeded(*key):
                losses.append(self._image_loss(batch, maps, targets, place))
        return torch.stack(losses).mean()

    def _image_loss(self, batch: Any, maps: OrderedDict[str, Tensor], targets: Any, place: int) -> Tensor:
        own = slice(place, place + 1)
        image = need("torchvision.models.detection.image_list").ImageList(batch.tensors[own], batch.image_sizes[own])
        levels = OrderedDict((name, one[own]) for name, one in maps.items())
        proposals, of_proposals = self.model.rpn(image, levels, targets[own])
        _, of_heads = self.model.roi_heads(levels, proposals, image.image_sizes, targets[own])
        return torch.stack([*of_proposals.values(), *of_heads.values()]).sum()

    def _found(self, images: list[Tensor]) -> Any:
        transform = self.model.transform
        training_sizes, transform.min_size = transform.min_size, (self.protocol.image_size,)
        try:
            return self.model(images)
        finally:
            transform.min_size = training_sizes


def _three(values: Sequence[float]) -> list[float]:
    return list(values) if len(values) == 3 else [values[0]] * 3


@dataclass(frozen=True)
class _ReadObjects:
    """Reads batches: images uint8 (3, H, W), their objects as torchvision's models take them, and their indices."""

    part: ObjectSet
    masks: bool
    hflip: float = 0.0

    def __call__(self, plan: Plan) -> tuple[list[Tensor], Targets, tuple[int, ...]]:
        v2, tensors = need("torchvision.transforms.v2"), need("torchvision.tv_tensors")
        flip = v2.RandomHorizontalFlip(self.hflip)
        images, targets = [], []
        for index in plan.indices:
            entry = self.part.entries[index]
            learnt = np.flatnonzero(~entry.ignored)
            boxes = torch.from_numpy(entry.boxes[learnt].astype(np.float32))
            target = {
                "boxes": tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=entry.size),
                "labels": torch.from_numpy(entry.labels[learnt] + 1),
            }
            if self.masks:
                target["masks"] = tensors.Mask(entry.masks(learnt))
            with seeded(*plan.key[:2], index):  # an image's changes are its own, in whichever process
                image, target = flip(tensors.Image(color(entry.file)), target)
            images.append(image.as_subclass(Tensor))
            targets.append({name: one.as_subclass(Tensor) for name, one in target.items()})
        return images, targets, plan.indices


class Detection(Task):
    """The losses of Mask R-CNN; metrics are COCO's average precision of boxes and masks.

    Args:
        data: images and their objects.
        setting: how it is trained.
    """

    metric, shown = "box_ap", "box AP"

    def __init__(self, data: Parts[ObjectSet], setting: Setting) -> None:
        self.data, self.setting = data, setting
        self.classes, self.count = data.classes, len(data.train)
        self.masks = has_masks(data, setting.protocol)
        guessing = 1 + self.masks  # an object or not, inside the mask or not
        self.chance = math.log(len(self.classes) + 1) + guessing * math.log(2)

    @classmethod
    def read(cls, path: str | Path, protocol: Protocol) -> Parts[ObjectSet]:
        """A COCO or VOC folder."""
        path = Path(path)
        try:
            if is_coco(path):
                return read_coco(path, protocol)
            if is_voc(path):
                return read_voc(path, protocol)
        except OSError as error:
            raise DataError(f"{shown(path)} cannot be read ({error.strerror}); allow reading it") from error
        raise DataError(
            f"there is no data for detection at {shown(repr(str(path)))}: give a COCO folder with instances_train.json "
            "and images/, or a VOC folder with Annotations/, JPEGImages/ and ImageSets/Main/"
        )

    @classmethod
    def network(cls, backbone: nn.Module, data: Parts[ObjectSet], protocol: Protocol, seed: int) -> Detector:
        """A detector on a network's maps, with masks where the data has them."""
        protocol = protocol.replace(detection={"masks": has_masks(data, protocol)})
        return cls.assembled(backbone, len(data.classes), protocol, seed)

    @classmethod
    def assembled(cls, backbone: nn.Module, classes: int, protocol: Protocol, seed: int) -> Detector:
        """A detector of so many classes, with masks where the protocol wants them."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Detector(Backbone(backbone, protocol.frozen_norms), classes, protocol)

    def check(self, network: nn.Module) -> None:
        """Entries and images were checked on reading; a class without an object to learn is refused."""
        learnt = np.concatenate([entry.labels[~entry.ignored] for entry in self.data.train.entries])
        present = np.bincount(learnt, minlength=len(self.classes))
        if empty := [self.classes[i] for i in np.flatnonzero(present == 0)[:10]]:
            raise DataError(
                f"these classes have no training objects: {', '.join(empty)}; add some or remove the classes"
            )

    def statement(self) -> list[str]:
        """What the data is and what is done to it, a line each."""
        p = self.setting.protocol
        counts = ", ".join(f"{len(part):,} {name}" for name, part in self.data.parts.items())
        sizes = " or ".join(map(str, p.detection.sizes or (p.image_size,)))
        return [
            f"data: {counts} images, {self.data.train.learnt:,} training objects "
            f"{'with' if self.masks else 'without'} masks, {len(self.classes)} classes",
            *self.data.notes,
            f"images are resized to a shorter side of {sizes} (at most {p.detection.max_size} the longer), and batches "
            f"padded to multiples of {MULTIPLE}",
        ]

    def identity(self) -> dict[str, Any]:
        """The classes and the objects of every part."""
        return {"classes": list(self.classes), "objects_crc32": [part.crc32 for part in self.data.parts.values()]}

    def training(self, plans: list[Plan]) -> Iterator[Any]:
        """Images, their objects, and the keys of their seeds."""
        read = _ReadObjects(self.data.train, self.masks, self.setting.protocol.hflip)
        for plan, (images, targets, indices) in zip(plans, self.setting.batches(read, plans), strict=True):
            seed, epoch = plan.key[:2]
            yield images, targets, [(seed, epoch, index, 2) for index in indices]

    def loss(self, model: nn.Module, batch: tuple[list[Tensor], Targets, Keys]) -> Tensor:
        """The mean over images of their five losses (four without masks)."""
        images, targets, keys = batch
        loss: Tensor = model([image.float() / 255 for image in images], targets, keys)
        return loss

    @torch.inference_mode()
    def _measure(self, network: nn.Module, part: ObjectSet) -> Scores:
        network.eval()
        setting = self.setting
        process = setting.process
        plans = eval_plans(len(part), process.rank, process.world, batch_size=1)
        found: list[dict[str, Any]] = []
        for images, _, (index,) in setting.batches(_ReadObjects(part, False), plans):
            with process.precision(setting.protocol):
                (one,) = network([image.float() / 255 for image in images])
            found += _as_results(index, one, self.masks)
        found = sorted(process.gather(found), key=lambda one: one["image_id"])
        return average_precision(part, found, self.classes, masks=self.masks)

    def validate(self, network: nn.Module) -> Metrics:
        """`val_box_ap`, `val_box_ap50`, `val_box_ap75`, and the same of masks."""
        return {f"val_{name}": value or 0.0 for name, value in self._measure(network, self.data.val).items()}

    def test(self, network: nn.Module) -> Scores:
        """`box_ap`, `box_ap50`, `box_ap75`, those of small, medium and large objects, and the same of masks."""
        return self._measure(network, self.data.test)


def has_masks(data: Parts[ObjectSet], protocol: Protocol) -> bool:
    """Whether masks are learnt: where the protocol wants them and every object has one.

    Raises:
        DataError: some have one and others none.
    """
    if not protocol.detection.masks:
        return False
    with_masks = sum(part.with_masks for part in data.parts.values())
    learnt = sum(part.learnt for part in data.parts.values())
    if 0 < with_masks < learnt:
        file, place = next(
            (entry.file, place)
            for part in data.parts.values()
            for entry in part.entries
            for place, shape in enumerate(entry.shapes)
            if shape is None and not entry.ignored[place]
        )
        raise DataError(
            f"{learnt - with_masks:,} of {learnt:,} objects have no mask, such as object {place + 1} of image "
            f"{shown(file)}: all must have one, or none; add them, or learn boxes alone by --set detection.masks=false"
        )
    return bool(with_masks)


def _as_results(index: int, found: dict[str, Tensor], masks: bool) -> list[dict[str, Any]]:
    """What is found in an image, as COCO's result files have it."""
    boxes = found["boxes"].double().cpu()
    boxes[:, 2:] -= boxes[:, :2]
    labels, scores = found["labels"].tolist(), found["scores"].double().tolist()
    results = [
        {"image_id": index, "category_id": label - 1, "bbox": box, "score": score}
        for box, label, score in zip(boxes.tolist(), labels, scores, strict=True)
    ]
    if masks:
        for result, mask in zip(results, found["masks"].cpu(), strict=True):
            result["segmentation"] = encoded((mask[0] > 0.5).numpy().astype(np.uint8))
    return results
