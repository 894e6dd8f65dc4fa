"""The parts of the measurements on a card by name, the most valuable first: if time runs out, the last are left out."""

from __future__ import annotations

from benchmarks.gpu.part import Column, Part
from benchmarks.gpu.parts import equality, learning, loading, loss, prediction, shares, step, waits
from benchmarks.table import share, times


def number(value: float) -> str:
    """`12345`, `123`, `12.3`, `1.23`, `0.012`, `3.4e-06`."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-3 else f"{value:.1e}"


def whole(value: float) -> str:
    return f"{value:.0f}"


DIFFERENCES = (Column("difference", "difference", number), Column("allowed", "allowed", number))
MEMORY = (Column("tensors_gib", "tensors, GiB", number), Column("reserved_gib", "reserved, GiB", number))
STEP = (
    Column("image_ms", "ms an image", number),
    Column("images_s", "images a second", number),
    Column("beside_fp32", "beside the usual loop", times),
    Column("beside_fp16", "beside its fp16", times),
    Column("batch", "batch", whole),
    Column("launch_ms", "launches, ms a batch", number),
    *MEMORY,
)
_ALL = (
    Part("equality", "Masks and predictions beside the CPU", DIFFERENCES, equality.masks_and_predictions),
    Part(
        "losses",
        "Errors of each loss and its gradient beside fp64 on the CPU",
        (
            Column("float32", "fp32", number),
            Column("float16", "fp16", number),
            Column("bfloat16", "bf16", number),
        ),
        equality.losses,
    ),
    Part("training", "Training beside the CPU", DIFFERENCES, learning.training),
    Part(
        "waits",
        "Lines at which the processor waits for the device",
        (Column("place", "line", str), Column("times", "times", whole)),
        waits.waits,
        needs_images=True,
    ),
    Part("step", "Training by base_train.yaml beside the usual loop", STEP, step.of_base),
    Part(
        "prediction",
        "Scoring and prediction beside the usual way, network included",
        (
            Column("image_ms", "ms an image", number),
            Column("images_s", "images a second", number),
            Column("ratio", "beside the usual way", times),
            *MEMORY,
        ),
        prediction.films,
        needs_images=True,
    ),
    Part(
        "loss",
        "Dice + BCE beside segmentation-models-pytorch",
        (
            Column("ms", "forward and backward, ms", number),
            Column("forward_ms", "forward, ms", number),
            Column("launch_ms", "launches, ms", number),
            Column("extra_gib", "memory, GiB", number),
        ),
        loss.beside_smp,
    ),
    Part("small", "Training by iterate_512.yaml beside the usual loop", STEP, step.of_small),
    Part(
        "loader",
        "Images through the loader",
        (
            Column("images_s", "images a second", number),
            Column("wait_share", "of the time spent waiting", share),
            Column("batches", "batches", whole),
        ),
        loading.loading,
        needs_images=True,
    ),
    Part(
        "shares",
        "What a step of base_train.yaml spends its time on",
        (Column("ms", "ms", number), Column("share", "share", share), Column("times", "times", whole)),
        shares.shares,
    ),
)
PARTS = {part.name: part for part in _ALL}
