"""The sizes of the images that a network is given, in training and in prediction, and whether it can take them."""

from __future__ import annotations

from torch import nn

from configs.blocks.prediction import Windows as WindowKeys
from configs.schema import Config
from data.task import Task
from models import check_input_size, input_step_px
from trainer.prediction.tta import views
from trainer.prediction.windows import Windows
from transform.base import as_size
from utils.arrays import Size


def check_sizes(config: Config, model: nn.Module, task: Task) -> None:
    """Raise `UserError` if the network cannot take the images of training or of prediction, or has other classes."""
    trained = sizes_trained_on(config)
    for size_hw, key in trained.items():
        check_input_size(model, (task.channels, *size_hw), key, len(task.classes))
    for size_hw, key in sizes_predicted(config, model).items():
        if size_hw not in trained:  # usually it is the same, and a check takes longer than a step
            check_input_size(model, (task.channels, *size_hw), key)


def check_predicted_sizes(config: Config, model: nn.Module, task: Task) -> None:
    """Raise `UserError` if the network cannot take the images of prediction."""
    for size_hw, key in sizes_predicted(config, model).items():
        check_input_size(model, (task.channels, *size_hw), key)


def sizes_trained_on(config: Config) -> dict[Size, str]:
    """The size of the images of a batch, and the key that sets it: crops, or whole resized images."""
    for index, spec in reversed(list(enumerate(config.transform.train))):
        size_px = getattr(spec.params, "size_px", None)
        if size_px is not None:
            return {as_size(size_px): f"transform.train[{index}].size_px"}
    return {as_size(config.transform.size_px): "transform.size_px"}


def sizes_predicted(config: Config, model: nn.Module) -> dict[Size, str]:
    """The sizes at which images or windows are predicted, each with the key that sets it."""
    windows, plain_hw = windows_of(config.predict.windows), as_size(config.transform.size_px)
    sizes = {}
    for view in views(scales=config.predict.tta.scales):
        frame_hw = view.frame(plain_hw, input_step_px(model))
        size_hw = frame_hw if windows is None else windows.within(frame_hw)
        sizes[size_hw] = "transform.size_px" if size_hw == frame_hw else "predict.windows.size_px"
    return sizes


def windows_of(keys: WindowKeys) -> Windows | None:
    """Build the windows that a config asks for, None if images are predicted whole."""
    if keys.size_px is None:
        return None
    size_hw = as_size(keys.size_px)
    half_hw = max(1, size_hw[0] // 2), max(1, size_hw[1] // 2)
    return Windows(size_hw, half_hw if keys.stride_px is None else as_size(keys.stride_px), keys.sigma)
