"""Cut-outs: a training step of the small U-2-Net, and the way of a photograph from its file to the saved PNG.

Both ways compute with the whole network here, since its share is what a user waits for.
Shapes: S steps, H/W native pixels, h/w the network's input.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from benchmarks import usual_cutout
from benchmarks.material import Material
from benchmarks.pair import Sides, must_agree
from configs.loading.load import from_mapping
from configs.schema import Config
from data.cutout.pills.dataset import PillSet, write_pills
from data.cutout.task import foreground
from data.sample import Sample
from models import MODELS
from trainer.build import Assembly, assemble, build_predictor
from trainer.distributed.processes import start_accelerator
from trainer.inference import write_predictions
from trainer.records.checkpoint import Weights
from trainer.split import Split
from trainer.trained import Trained
from utils.arrays import Floats, Size

SIDE_PX, BATCH = 320, 8
"""Side of the network's input, which is smaller if the material is, and photographs of a training step."""
STEPS, PHOTOGRAPHS = 2, 8
SMALLEST_PX = 64
CONTRAST = 6.0
"""Logits for each standard deviation of the colours, so that most probabilities are near 0 or 1."""
Steps = tuple[float, Floats]
"""Seconds of a step, and the terms of the loss in each, float64[S, 7]."""


def training_step(material: Material) -> Sides:
    """Train for two steps from the files, with the authors' loss of seven terms and their optimizer.

    Both ways begin with the same weights and take the same photographs in the same order. On one batch their terms
    agree within 1e-4. In the first step they agree within 5 %, since Pillow blurs a little more when it makes an image
    smaller; in the second within 20 %, for Adam's first step is as long for small gradients as for large ones.
    """
    samples, size_hw = photographs(material, STEPS * BATCH), input_hw(material)
    assembly = assemble(config_of(material, size_hw), Split(samples, samples), start_accelerator())
    ours = OurSteps(assembly)
    network = MODELS["u2netp"](1, 3)
    in_order = [samples[index] for index in assembly.loader.sampler.order().tolist()]
    batches = usual_cutout.loader(in_order, size_hw, BATCH)
    compare_terms(network, ours, size_hw)
    return Sides(
        usual=lambda: time_steps(partial(usual_cutout.train, with_weights(network, ours.weights), batches)),
        ours=lambda: time_steps(ours.train),
        agree=_same_terms,
        reads=lambda steps: steps[0],
        in_flight=(BATCH, BATCH),
    )


class OurSteps:
    """Trains as `train.py` does, from the same weights at each call."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly, self.state = assembly, assembly.train_state
        self.weights = copy.deepcopy(self.state.model.state_dict())
        self.optimizer = copy.deepcopy(self.state.optimizer.state_dict())

    def train(self) -> Floats:
        """Train one epoch; the terms of the loss, float64[S, 7]."""
        with_weights(self.state.model, self.weights)
        self.state.optimizer.load_state_dict(copy.deepcopy(self.optimizer))
        self.state.begin_training()
        loader, step = self.assembly.loader, self.assembly.stepper.step
        steps = [step(*batch, number, loader.count(0)) for number, batch in enumerate(loader.batches(0))]
        return np.array([[float(terms[name]) for name in terms if name != "loss"] for terms in steps])


def compare_terms(network: nn.Module, ours: OurSteps, size_hw: Size) -> None:
    """Raise `Disagreement` unless both ways compute the same terms of the loss for one batch."""
    images, masks = torch.rand(2, 3, *size_hw), torch.rand(2, 1, *size_hw)
    with torch.no_grad():
        outputs = with_weights(network, ours.weights).train()(images)
        theirs = torch.stack([nn.functional.binary_cross_entropy(each.sigmoid(), masks) for each in outputs])
        mine = torch.stack(list(ours.state.loss.parts(ours.state.model.train()(images), masks).values()))
    must_agree(bool(torch.allclose(theirs, mine, rtol=1e-4)), f"terms of the loss {theirs} and {mine}")


def with_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    network.load_state_dict(dict(weights))
    return network


def time_steps(train: Callable[[], Floats]) -> Steps:
    """Train; return the mean seconds of a step, waiting for photographs included, and the terms of the loss."""
    begun_s = time.perf_counter()
    terms = train()
    return (time.perf_counter() - begun_s) / len(terms), terms


def _same_terms(theirs: Steps, ours: Steps) -> None:
    must_agree(theirs[1].shape == ours[1].shape, "numbers of steps or terms")
    differs_S = np.abs(theirs[1] / ours[1] - 1).max(axis=1)
    must_agree(bool(differs_S[0] < 0.05 and differs_S[-1] < 0.2), f"terms of the loss by {differs_S.round(3)}")


def cut_out(material: Material) -> Sides:
    """Cut out each photograph: decode, resize, network, resize back, save.

    Visible colours agree within 3 levels, for two libraries decode the JPEG files; ours writes no others. The mean
    difference of the alphas of an image is at most 8 levels: the usual way enlarges rounded probabilities by a Lanczos
    window, ours logits bilinearly, and it makes the smallest value of an image 0 and the largest 255, which they nearly
    are with this network.
    """
    samples, size_hw = photographs(material, PHOTOGRAPHS), input_hw(material)
    config = config_of(material, size_hw)
    network = Bright().eval()
    trained = trained_of(config, copy.deepcopy(network))

    def ours() -> Path:
        write_predictions(trained, samples, material.scratch / "our_cutouts")
        return material.scratch / "our_cutouts"

    return Sides(
        usual=lambda: usual_cutout.cut_out(network, samples, size_hw, material.scratch / "usual_cutouts"),
        ours=ours,
        agree=_same_cutouts,
        in_flight=(1, 7),
    )


class Bright(nn.Module):
    """Computes a small U-2-Net and then returns logits of bright regions.

    A network of random weights returns noise, which changes with every detail of a resize. These logits depend on the
    input as those of a trained network do: smoothly, and mostly far from 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = MODELS["u2netp"](1, 3)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        unused_BCHW = self.body(images_BCHW)
        bright_BCHW = F.avg_pool2d(images_BCHW.mean(1, keepdim=True), 5, 1, 2, count_include_pad=False)
        logits_BCHW: Tensor = CONTRAST * bright_BCHW + 0 * unused_BCHW
        return logits_BCHW


def trained_of(config: Config, network: nn.Module) -> Trained:
    """The network as `inference.py` rebuilds it from a file of weights."""
    weights = Weights(network.state_dict(), foreground.classes, config.model_dump(mode="json"), epoch=0, score=0.0)
    prepared = network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return Trained(foreground, config, weights, build_predictor(config, prepared, torch.device("cpu")))


def _same_cutouts(theirs: Path, ours: Path) -> None:
    names = sorted(path.name for path in theirs.glob("*.png"))
    must_agree(names == sorted(path.name for path in ours.glob("*.png")), "names of files")
    for name in names:
        mine = _pixels(ours / name)
        differs = np.abs(_pixels(theirs / name) - mine)
        seen = differs[mine[..., 3] > 0][:, :3].max(initial=0)
        must_agree(bool(seen <= 3), f"colours of {name} by {seen} levels")
        must_agree(bool(differs[..., 3].mean() <= 8), f"alphas of {name} by {differs[..., 3].mean():.1f} levels")


def _pixels(path: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.asarray(Image.open(path), np.int16)


def photographs(material: Material, count: int) -> list[Sample]:
    """The first of some rendered photographs of pills of about half the side of the material, with masks."""
    root = photographs_root(material)
    if not root.exists():
        made, size_px = root.with_suffix(".part"), max(SMALLEST_PX, material.size_hw[0] // 2)
        list(write_pills(made, PillSet(images=STEPS * BATCH, size_px=size_px, seed=1)))
        made.joinpath("train").mkdir()
        for before, after in (("images", "images"), ("truth", "masks")):
            (made / before).rename(made / "train" / after)
        made.rename(root)
    return foreground.layout.find_samples(root / "train", labelled=True)[:count]


def photographs_root(material: Material) -> Path:
    return material.scratch / "photographs"


def input_hw(material: Material) -> Size:
    side_px = min(SIDE_PX, material.size_hw[0])
    return side_px, side_px


def config_of(material: Material, size_hw: Size) -> Config:
    """The small U-2-Net as its authors train it, on photographs resized to `size_hw`."""
    return from_mapping(
        {
            "run": {"name": "benchmark"},
            "task": "foreground",
            "data": {"root": str(photographs_root(material)), "workers": 1},
            "transform": {
                "size_px": list(size_hw),
                "divide_by_maximum": True,
                "mean": list(usual_cutout.MEAN),
                "std": list(usual_cutout.STD),
            },
            "model": "u2netp",
            "loss": {"name": "deep_supervision", "loss": "bce"},
            "optimizer": "adam",
            "scheduler": "constant",
            "trainer": {"batch_size": BATCH, "precision": "fp32"},
            "predict": {"refine": "plain", "own_colours": False},
        }
    )
