"""Several processes of one run: starting them together, and what must be the same in all.

`torchrun train.py …` and `accelerate launch train.py …` start one process per GPU, or several on CPUs. Each gets its
share of every batch and of the held-out images; together they learn what one process with the whole batch learns.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm

from loss import Loss
from models.outputs import Outputs, prediction_of
from utils.errors import UserError
from utils.host_copy import HostCopy
from utils.processes import ProcessRanks, process_ranks
from utils.seed import random_state, restore_random_state
from utils.system.streams import stdout_discarded

PATIENCE = timedelta(minutes=10)
"""How long a process waits for another before it gives up: far longer than any of them computes alone."""

Item = TypeVar("Item")


def start_accelerator() -> Accelerator:
    """Join the other processes, if a launcher started any, and take this one's device.

    Raises `UserError` if this machine has GPUs, but fewer than processes.
    """
    here = process_ranks()
    options: dict[str, Any] = {}
    if here.world > 1:
        refuse_to_share_gpus(here, torch.cuda.device_count())
        options = {
            "cpu": not torch.cuda.is_available(),  # accelerate would otherwise take each process for one alone
            # Buffers need no exchange in each step: statistics are shared, or each process's own until a scoring.
            "kwargs_handlers": [
                InitProcessGroupKwargs(timeout=PATIENCE),
                DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True),
            ],
        }
    # Gloo prints "Rank 0 is connected to 1 peer ranks" on stdout, even to a launcher's only process.
    with stdout_discarded():
        return Accelerator(mixed_precision="no", **options)


def refuse_to_share_gpus(here: ProcessRanks, gpus: int) -> None:
    """Raise `UserError` for more processes than GPUs; without any GPU they share the cores."""
    if 0 < gpus < here.local_world:
        raise UserError(
            f"{here.local_world} processes were started on this machine, which has {gpus} "
            f"{'GPU' if gpus == 1 else 'GPUs'}. Start one per GPU: torchrun --nproc-per-node {gpus}, or accelerate "
            f"launch --num_processes {gpus}."
        )


def distribute(accelerator: Accelerator, model: nn.Module, input_chw: tuple[int, int, int], loss: Loss) -> nn.Module:
    """Return the network that exchanges gradients with the other processes; in a single process the model itself.

    All processes begin with the main one's parameters and buffers.
    """
    if accelerator.num_processes == 1:
        return accelerator.prepare_model(model)  # type: ignore[no-any-return]
    share_buffers(model)  # torch shares the parameters alone, if no step exchanges buffers
    idle = unreached(model, input_chw, loss)
    for parameter in idle:
        parameter.requires_grad_(False)
    network: nn.Module = accelerator.prepare_model(model)
    for parameter in idle:  # still a parameter like any other, so that states fit whatever the number of processes
        parameter.requires_grad_(True)
    return network


def unreached(model: nn.Module, input_chw: tuple[int, int, int], loss: Loss) -> list[nn.Parameter]:
    """Find the parameters that the loss does not depend on, without computing.

    Encoders have layers that some architectures leave out, and not every loss reads every output of a network.
    DistributedDataParallel would wait for the gradients of such parameters, or search for them in every step.
    """
    shadow = training_on_meta(model)
    try:
        outputs = shadow(torch.empty(1, *input_chw, device="meta"))
        value_on_meta(loss, outputs).backward()
    except NotImplementedError:  # an operation whose result's shape depends on numbers
        return []
    pairs = zip(model.parameters(), shadow.parameters(), strict=True)
    return [parameter for parameter, reached in pairs if parameter.requires_grad and reached.grad is None]


def training_on_meta(model: nn.Module) -> nn.Module:
    """Copy a network without its numbers, in training mode: some networks return further outputs in training only.

    Batch normalisation stays in evaluation mode, for a shared one would exchange its statistics with other processes.
    """
    shadow = copy.deepcopy(model).to("meta").train()
    for layer in shadow.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()
    return shadow


def value_on_meta(loss: Loss, outputs: Outputs) -> Tensor:
    """Compute the loss without numbers; if it cannot do without them, it is assumed to depend on all outputs."""
    target = torch.empty_like(prediction_of(outputs), dtype=torch.uint8)
    try:
        return loss(outputs, target)
    except (NotImplementedError, RuntimeError):
        tensors = [outputs] if isinstance(outputs, Tensor) else outputs
        return torch.stack([tensor.sum() for tensor in tensors]).sum()


def refuse_difference(accelerator: Accelerator, **of_each: Sequence[str]) -> None:
    """Raise `UserError` if processes were given different things: each would wait for the others in another step."""
    if accelerator.num_processes == 1:
        return
    own = {name: hashlib.sha256("\n".join(lines).encode()).hexdigest() for name, lines in of_each.items()}
    all_digests = gather_object([own])
    different = [name for name in own if len({each[name] for each in all_digests}) > 1]
    if different:
        raise UserError(
            f"The processes of this run do not have the same {' and '.join(different)}. Start all with the same "
            "command, on the same version of the code and of the data."
        )


def from_main(accelerator: Accelerator, make: Callable[[], Item]) -> Item:
    """Call `make` in the main process alone; return its result in all processes."""
    if accelerator.num_processes == 1:
        return make()
    holder: list[Any] = [make() if accelerator.is_main_process else None]
    made: Item = broadcast_object_list(holder)[0]
    return made


@torch.no_grad()
def share_buffers(model: nn.Module) -> None:
    """Copy the main process's buffers to all: each has gathered batch-norm statistics from its own images.

    All buffers of one type travel together, for a network has a thousand of them.
    """
    for dtype in sorted({buffer.dtype for buffer in model.buffers()}, key=str):
        buffers = [buffer for buffer in model.buffers() if buffer.dtype == dtype]
        together = torch.cat([buffer.reshape(-1) for buffer in buffers])
        dist.broadcast(together, 0)
        for buffer, values in zip(buffers, together.split([buffer.numel() for buffer in buffers]), strict=True):
            buffer.copy_(values.view(buffer.shape))


class StopVote:
    """Lets all processes stop after the same step if any of them was asked to stop.

    Call it once after each step in every process. Votes are read one step late, so that no process waits for its GPU
    to finish the current step.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.before: HostCopy | None = None

    def __call__(self, asked: bool) -> bool:
        """Return whether any process had been asked to stop at its previous call."""
        before, self.before = self.before, self._cast(asked)
        return before is not None and bool(before.read())

    def _cast(self, asked: bool) -> HostCopy:
        # Filled on the device: a tensor that is made on the CPU is copied there, and that copy is waited for.
        votes = torch.full((), int(asked), device=self.device)
        dist.all_reduce(votes)
        return HostCopy(votes)


def random_states(accelerator: Accelerator) -> dict[str, Any]:
    """Collect the random states of all processes for a saved state; every process must call this."""
    if accelerator.num_processes == 1:
        return {"random": random_state()}
    first, *others = gather_object([random_state()])
    return {"random": first, "random_of_others": others}


def restore_random_states(accelerator: Accelerator, state: dict[str, Any]) -> None:
    """Restore this process's random state; a process without one in the saved state keeps its fresh one."""
    states = [state["random"], *state.get("random_of_others", [])]
    if accelerator.process_index < len(states):
        restore_random_state(states[accelerator.process_index])


def seed_ranks(accelerator: Accelerator, seed: int) -> None:
    """Give every process but the main one its own random numbers, so that dropout differs between their images."""
    rank = accelerator.process_index
    if rank:
        torch.manual_seed(int(np.random.SeedSequence([seed, rank]).generate_state(1)[0]))
