"""What the measurements on a card share: device, recipes, networks, batches and images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch import distributed as dist

from benchmarks.gpu.clock import Clock
from benchmarks.material import CLASSES, Material
from configs.loading.load import load
from configs.schema import Config
from data.masks.packed import pack
from data.sample import Sample
from trainer.build import build_train_state
from trainer.input_sizes import sizes_trained_on
from trainer.training.stepper import Stepper
from utils.seed import seed_everything
from utils.system.streams import stdout_discarded

# Shapes: B images, h/w the network's input, K bytes of a packed mask, C classes (29).

CONFIGS = Path(__file__).parents[2] / "configs"
BASE, SMALL, WINDOWS = "base_train", "iterate_512", "windows_2048"
"""The recipes that are measured."""
SMALL_NETWORK = (
    *("model.name=unet", "model.encoder=tu-mobilenetv3_small_050", "model.encoder_depth=3"),
    "model.decoder={decoder_channels: [32, 16, 16]}",
)
TINY = {
    BASE: (*SMALL_NETWORK, "transform.size_px=64", "trainer.batch_size=2", "trainer.precision=fp32"),
    SMALL: (*SMALL_NETWORK, "transform.size_px=64", "trainer.batch_size=2"),
    WINDOWS: (
        *SMALL_NETWORK,
        *("transform.size_px=128", "transform.train=[hflip]", "trainer.precision=fp32"),
        *("predict.windows.size_px=64", "predict.windows.stride_px=32"),
    ),
}
"""What `--tiny` changes in each recipe."""
BATCHES_PER_EPOCH = 100


@dataclass(frozen=True)
class Bench:
    """One call of the program. `tiny`: small networks and sizes, whose times are no measurement."""

    accelerator: Accelerator
    tiny: bool = False
    material: Material | None = None

    @property
    def device(self) -> torch.device:
        device: torch.device = self.accelerator.device
        return device

    @property
    def clock(self) -> Clock:
        return Clock(self.device)

    @property
    def half(self) -> str:
        """The format that the card computes fast in: fp16, which every card has; on a CPU fp32."""
        return "fp16" if self.clock.on_gpu else "fp32"

    @property
    def has_bf16(self) -> bool:
        """Whether the card computes in bf16 by itself; older ones emulate it, many times slower."""
        return self.clock.on_gpu and torch.cuda.get_device_capability(self.device)[0] >= 8

    @property
    def samples(self) -> Sequence[Sample]:
        """The labelled images; there are some if a part that needs them was chosen."""
        assert self.material is not None
        return self.material.samples

    @contextmanager
    def group_of_one(self) -> Iterator[None]:
        """Let the block exchange tensors as several processes do, in a group of this one alone."""
        with tempfile.TemporaryDirectory(prefix="carpus-") as folder:
            backend = "nccl" if self.clock.on_gpu else "gloo"
            with stdout_discarded():  # Gloo prints to how many peers it is connected
                dist.init_process_group(backend, init_method=f"file://{folder}/group", rank=0, world_size=1)
            try:
                yield
            finally:
                dist.destroy_process_group()

    def config(self, recipe: str, *overrides: str) -> Config:
        """Read a recipe without pretrained weights, which change no time; `overrides` come last."""
        tiny = TINY[recipe] if self.tiny else ()
        return load(CONFIGS / f"{recipe}.yaml", ["model.encoder_weights=null", *tiny, *overrides])

    def stepper(self, config: Config) -> Stepper:
        """Build what trains by a config, from the same weights every time."""
        seed_everything(0)
        state = build_train_state(config, BATCHES_PER_EPOCH, self.accelerator)
        state.begin_training()
        return Stepper(state, accumulate=config.trainer.accumulate, clip_norm=config.trainer.clip_norm)

    def batch(self, config: Config, size: int | None = None) -> tuple[Tensor, Tensor]:
        """Make a batch of a config's size, or of `size` images, as the loader gives it: pinned if there is a card."""
        height, width = next(iter(sizes_trained_on(config)))
        images, masks = make_batch(size or config.trainer.batch_size, height, width)
        return (images.pin_memory(), masks.pin_memory()) if self.clock.on_gpu else (images, masks)


def make_batch(size: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Make images of noise, uint8[B, h, w], and masks of an ellipse for each class, uint8[B, h, w, K]."""
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (size, height, width), np.uint8))
    return images, ellipses(height, width)[None].expand(size, -1, -1, -1).contiguous()


@lru_cache(maxsize=4)
def ellipses(height: int, width: int) -> Tensor:
    """Draw an ellipse for each class, uint8[h, w, K]."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    planes = np.zeros((height, width, CLASSES), np.bool_)
    for index in range(CLASSES):
        centre_y, centre_x = rng.uniform(0.15, 0.85, 2) * (height, width)
        radius_y, radius_x = rng.uniform(0.02, 0.06, 2) * (height, width)
        planes[..., index] = ((y - centre_y) / radius_y) ** 2 + ((x - centre_x) / radius_x) ** 2 < 1
    return torch.from_numpy(pack(planes))
