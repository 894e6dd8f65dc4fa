"""The loop that most teams start from, on a card: three equal channels, float masks, the loss read in every step."""

# Shapes: B images, C classes (29), h/w the network's input, K bytes of a packed mask.
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.gpu.bench import Bench
from benchmarks.material import CLASSES
from utils.bit_tensor import unpack_bits
from utils.seed import seed_everything

RATE = 1e-4


@dataclass(frozen=True)
class UsualLoop:
    """Trains a network as the notebook does: `half` with torch's mixed precision, `pinned` as the better copies do."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.grad_scaler.GradScaler
    device: torch.device
    half: bool = False
    pinned: bool = False

    def step(self, images_B3hw: Tensor, masks_BChw: Tensor) -> float:
        """Take one step on floats from the host; returns the loss."""
        images = images_B3hw.to(self.device, non_blocking=self.pinned)
        masks = masks_BChw.to(self.device, non_blocking=self.pinned)
        kind = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        with torch.autocast(self.device.type, kind, enabled=self.half):
            value = nn.BCEWithLogitsLoss()(self.network(images), masks)
        self.optimizer.zero_grad()
        self.scaler.scale(value).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return float(value.item())


def usual_loop(bench: Bench, network: nn.Module, *, half: bool = False, pinned: bool = False) -> UsualLoop:
    """Train `network` by Adam, as the notebook does."""
    on_device = network.to(bench.device).train()
    optimizer = torch.optim.Adam(on_device.parameters(), lr=RATE)
    scaler = torch.amp.grad_scaler.GradScaler(bench.device.type, enabled=half and bench.clock.on_gpu)
    return UsualLoop(on_device, optimizer, scaler, bench.device, half, pinned)


def usual_network(bench: Bench, recipe: str, *overrides: str) -> nn.Module:
    """Build segmentation-models-pytorch's own network of a recipe, for images of three channels."""
    seed_everything(0)
    config = bench.config(recipe, *overrides, "model.checkpoint_gradients=false")
    network: nn.Module = config.model.build(CLASSES, 3)
    return network


def with_weights_of(network: nn.Module, ours: nn.Module) -> nn.Module:
    """Give the network the weights of ours, which reads one channel: each of three equal ones counts a third."""
    given = dict(ours.state_dict())
    for name, tensor in network.state_dict().items():
        if given[name].shape != tensor.shape:
            given[name] = given[name].expand_as(tensor) / tensor.shape[1]
    network.load_state_dict(given)
    return network


def usual_batch(images: Tensor, packed: Tensor, *, pinned: bool = False) -> tuple[Tensor, Tensor]:
    """Turn a batch of bytes into the floats that the usual loaders give, [B, 3, h, w] and [B, C, h, w], on the host."""
    floats = images[:, None].float().mul(1 / 255).expand(-1, 3, -1, -1).contiguous()
    masks = unpack_bits(packed, CLASSES).float().contiguous()
    return (floats.pin_memory(), masks.pin_memory()) if pinned else (floats, masks)
