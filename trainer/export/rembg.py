"""Put a network into the frame of rembg, which loads an ONNX file as one of its sessions for networks of others.

rembg gives every image at one size, normalised its own way, and takes the first output as the mask. The graph of such a
file therefore begins with the way from rembg's image to the network's.
"""

# Shapes: B images, S the side of rembg's images, h/w the network's own input.
from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from configs.blocks.images import Transform
from models.outputs import prediction_of
from trainer.build import build_predictor
from trainer.trained import Trained
from transform.base import as_size
from transform.normalise import Normalisation, per_channel
from utils.errors import UserError


@dataclass(frozen=True)
class Session:
    """How a session of rembg gives images to a network: side in pixels, mean and deviation on a 0..1 scale."""

    name: str
    side_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


SESSIONS = (
    Session("u2net_custom", 320, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    Session("dis_custom", 1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
)
"""The sessions of rembg 2.0 that load a file; both divide an image by its largest value first."""


REMBG_LIMITS = (
    "rembg stretches every mask so that its smallest value becomes 0 and its largest 1: of a picture without an object "
    "it makes one of noise, which Carpus does not",
    "rembg divides every picture by its largest value; a dark one is given to the network brighter than it is, unless "
    "the network was trained so (transform.divide_by_maximum)",
)
"""What rembg does otherwise than Carpus, whatever the network."""


def rembg_command(trained: Trained, output: Path) -> str:
    """Return the command that cuts out a photograph with rembg and the file."""
    session = next(one for one in SESSIONS if one.side_px == as_size(trained.config.transform.size_px)[0])
    settings = json.dumps({"model_path": str(output.absolute())})
    home = quote(str(output.absolute().parent))
    return f"U2NET_HOME={home} rembg i -m {session.name} -x {quote(settings)} photo.jpg cut.png"


def session_for(trained: Trained) -> Session:
    """Return the session whose images are large enough for a network, the smaller first."""
    largest = max(as_size(trained.config.transform.size_px))
    return next((session for session in SESSIONS if session.side_px >= largest), SESSIONS[-1])


def for_rembg(trained: Trained, weights: Path) -> Trained:
    """Return a network that takes rembg's images. Raises `UserError` if rembg could not use it."""
    task, config = trained.task, trained.config
    if task.channels != 3 or len(task.classes) != 1 or not task.encoding.soft:
        raise UserError(
            f"--for rembg: cuts one object out of RGB photographs, but {weights} is of task '{task.name}'. Leave the "
            "option out."
        )
    if config.transform.evaluate:
        names = ", ".join(spec.name for spec in config.transform.evaluate)
        raise UserError(f"--for rembg: rembg cannot change images as transform.evaluate does ({names}). Leave it out.")
    if config.transform.pad or config.transform.keep_ratio:
        raise UserError(
            "--for rembg: rembg stretches images to a square, but this network keeps their ratio. Leave it out."
        )
    session = session_for(trained)
    network = InRembg(
        trained.predictor.network, trained.predictor.normalise, as_size(config.transform.size_px), session
    )
    transform = Transform(size_px=session.side_px, mean=session.mean, std=session.std, divide_by_maximum=True)
    config = config.model_copy(update={"transform": transform})
    predictor = replace(build_predictor(config, network.eval(), trained.predictor.device))
    return replace(trained, config=config, predictor=predictor)


class InRembg(nn.Module):
    """From rembg's images [B, 3, S, S] to a network's logits [B, 1, h, w] for the same images at its own size."""

    takes_one_size = True
    to_01: Tensor
    from_0: Tensor
    scale: Tensor
    shift: Tensor
    rows_hS: Tensor
    columns_wS: Tensor

    def __init__(self, network: nn.Module, own: Normalisation, size_hw: tuple[int, int], session: Session) -> None:
        super().__init__()
        self.network, self.by_maximum, self.output_hw = network, own.by_maximum, size_hw
        self.own_size = (session.side_px, session.side_px) == size_hw
        # Their normalisation undone and the network's done: both are a factor and a shift of each channel.
        scale = torch.tensor(session.std) / _of_channels(own.std)
        shift = (torch.tensor(session.mean) - _of_channels(own.mean)) / _of_channels(own.std)
        parts = {
            "to_01": torch.tensor(session.std),
            "from_0": torch.tensor(session.mean),
            "scale": scale,
            "shift": shift,
        }
        for name, values in parts.items():
            self.register_buffer(name, values.float()[:, None, None])
        for name, side_px in (("rows_hS", size_hw[0]), ("columns_wS", size_hw[1])):
            self.register_buffer(name, resizing_matrix(session.side_px, side_px))

    def forward(self, images_B3SS: Tensor) -> Tensor:
        images = images_B3SS
        if not self.own_size:
            images = self.rows_hS @ images @ self.columns_wS.T
        if self.by_maximum and not self.own_size:
            # Resizing has changed the largest value, which the network expects to be 1.
            images = images * self.to_01 + self.from_0
            images = (images / images.amax((1, 2, 3), keepdim=True) - self.from_0) / self.to_01
        return prediction_of(self.network(images * self.scale + self.shift))


def resizing_matrix(from_px: int, to_px: int) -> Tensor:
    """Return the weights float32[to, from] by which a side is resized as our images are: means of what is covered."""
    how = cv2.INTER_AREA if to_px < from_px else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.resize(np.eye(from_px, dtype=np.float32), (from_px, to_px), interpolation=how))


def _of_channels(level: float | tuple[float, ...]) -> Tensor:
    return torch.tensor(per_channel(level, 3))
