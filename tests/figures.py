"""Photographs of rendered figures, and a small Mask R-CNN that learns them within seconds.

The published weights cannot be had in a test, so the way from detections to files is tested with this network.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from models.maskrcnn import Detector
from models.pretrained.fill import fill_network
from utils.arrays import Bools, Image

SIZE_HW = 96, 128
STEPS, BATCH, MOST = 80, 6, 3
"""Of the training; a picture has up to so many figures."""


@dataclass(frozen=True)
class Scene:
    """A picture uint8[H, W, 3] with the masks bool[H, W] of its figures."""

    image: Image
    masks: list[Bools]

    @property
    def union(self) -> Bools:
        return np.asarray(np.any([np.zeros(SIZE_HW, bool), *self.masks], axis=0), bool)

    def write(self, path: Path, scale: int = 1) -> Path:
        """Write the picture, `scale` times as large."""
        larger = self.image.repeat(scale, 0).repeat(scale, 1)
        cv2.imwrite(str(path), larger[..., ::-1])
        return path


def draw_scene(figures: int, seed: int) -> Scene:
    """Draw bright figures, each with head, body and legs, beside each other on a dark, noisy ground."""
    rng = np.random.default_rng([figures, seed])
    height, width = SIZE_HW
    image = np.clip(rng.integers(0, 90, 3) + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)
    masks = []
    for place in range(figures):
        tall = rng.uniform(52, 74)
        x = (place + 0.5) * width / figures + rng.uniform(-4, 4)
        mask = draw_figure(x, rng.uniform(tall + 4, height - 4), tall)
        image[mask] = rng.integers(150, 256, 3)
        masks.append(mask)
    return Scene(image, masks)


def draw_figure(x: float, foot: float, tall: float) -> Bools:
    """Draw the mask of one figure."""
    mask, thick = np.zeros(SIZE_HW, np.uint8), tall / 3
    cv2.circle(mask, (int(x), int(foot - 0.88 * tall)), int(0.13 * tall), 1, -1)
    cv2.ellipse(mask, (int(x), int(foot - 0.55 * tall)), (int(0.42 * thick), int(0.24 * tall)), 0, 0, 360, 1, -1)
    for side in (-1, 1):
        hip = int(x + 0.15 * side * thick), int(foot - 0.45 * tall)
        cv2.line(mask, hip, (int(x + 0.3 * side * thick), int(foot)), 1, max(2, int(0.22 * thick)))
    return mask > 0


def small_detector() -> MaskRCNN:
    """Build torchvision's Mask R-CNN with few channels, one anchor, and figures as its only class."""
    widths = (3, 16, 32, 32)
    layers: list[nn.Module] = []
    for inside, after in pairwise(widths):
        layers += [nn.Conv2d(inside, after, 3, 2, 1), nn.GroupNorm(4, after), nn.ReLU()]
    backbone = nn.Sequential(*layers, nn.Conv2d(32, 32, 3, 1, 1), nn.GroupNorm(4, 32), nn.ReLU())
    backbone.out_channels = 32  # type: ignore[assignment]
    return MaskRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(((64,),), ((2.5,),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 4, 2),
        box_head=nn.Sequential(nn.Flatten(), nn.Linear(32 * 16, 64), nn.ReLU()),
        box_predictor=FastRCNNPredictor(64, 2),
        mask_roi_pool=MultiScaleRoIAlign(["0"], 7, 2),
        mask_head=nn.Sequential(nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU()),
        mask_predictor=MaskRCNNPredictor(32, 32, 2),
        min_size=min(SIZE_HW),
        max_size=max(SIZE_HW),
        rpn_pre_nms_top_n_train=40,
        rpn_post_nms_top_n_train=20,
        rpn_pre_nms_top_n_test=40,
        rpn_post_nms_top_n_test=20,
        rpn_batch_size_per_image=32,
        box_batch_size_per_image=16,
    )


def small_maskrcnn(classes: int, channels: int, *, weights: str | None = None) -> nn.Module:
    """Build what `models.maskrcnn` builds, in small."""
    assert (classes, channels) == (1, 3)
    return fill_network(Detector(small_detector()), weights, "maskrcnn")


@cache
def _trained() -> MaskRCNN:
    generator = torch.random.get_rng_state()
    torch.manual_seed(0)
    detector = small_detector()
    optimizer = torch.optim.Adam(detector.parameters(), 3e-3)
    for step in range(STEPS):
        scenes = [draw_scene((step + each) % (MOST + 1), BATCH * step + each) for each in range(BATCH)]
        losses = detector([as_tensor(scene.image) for scene in scenes], [target_of(scene) for scene in scenes])
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    torch.random.set_rng_state(generator)
    return detector.eval()


def trained_detector() -> MaskRCNN:
    """Return a copy of a detector that has learnt figures. It is trained once in a process: five seconds."""
    return copy.deepcopy(_trained())


def as_tensor(image: Image) -> Tensor:
    """Return an image as torchvision's detectors take it: float32[3, H, W] in 0..1."""
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)


def target_of(scene: Scene) -> dict[str, Tensor]:
    """Return the boxes, labels and masks that a detector learns from."""
    boxes = [box_of(mask) for mask in scene.masks]
    masks = np.array(scene.masks, np.uint8).reshape(-1, *SIZE_HW)
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "masks": torch.from_numpy(masks),
    }


def box_of(mask: Bools) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom."""
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
