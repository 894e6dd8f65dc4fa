"""From a trained run and a folder of images to the output file; decoding, network and encoding run side by side."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from configs.loading.load import as_dict
from data.check.looks import usual_from
from data.masks.binarize import Threshold
from data.sample import Sample
from data.task import Task
from runtime.checked import Checked, check_images, name_left_out
from runtime.image_watch import ImageWatch
from runtime.label_export import LabelExport, csv_of, label_export
from runtime.outputs import refuse_among_images, refuse_output
from runtime.settings import read_threshold, refuse_unchangeable
from runtime.sharing import Exchange, merge
from runtime.writing import Masks, write_masks
from trainer.distributed.exchange import exchange_of
from trainer.distributed.failure import fail_together
from trainer.distributed.processes import start_accelerator
from trainer.prediction.choice import ChoosingPredictor
from trainer.prediction.predictor import decoding_threads
from trainer.records.checkpoint import digest_of, is_of_others
from trainer.records.folder import RunFolder
from trainer.records.weights_files import weights_of
from trainer.review.gallery import PAGE, Gallery
from trainer.torch_errors import torch_errors_explained
from trainer.trained import Description, Trained, load_trained, read_description, rebuild
from utils.errors import UserError
from utils.system.gpu import choose_kernels
from utils.text import pluralize

log = logging.getLogger(__name__)


def infer(
    run: Path,
    images: Path | None,
    output: Path | None,
    *,
    threshold: str | None = None,
    gallery: Path | None = None,
    label_format: str | None = None,
    overrides: Sequence[str] = (),
) -> Path:
    """Predict every image of a folder with a run's best weights; returns the file written.

    `run` is a run's folder, or a weights file of a run or of a published network. Without `images` those that the task
    predicts by default are taken; without `output` it is the task's default name in the run's folder. `threshold` is a
    number or a file of thresholds per class, and `overrides` (`key=value`) change how it predicts. With `gallery` a
    page of overlays is written into that folder (`trainer.review.gallery`), with `label_format` also labels for a
    labelling tool (`runtime.label_export`). Raises `UserError` for anything missing.
    """
    accelerator = start_accelerator()
    exchange = exchange_of(accelerator)
    with fail_together(accelerator):
        # Refuse everything that is wrong before the network is built.
        refuse_unchangeable(overrides)
        weights = weights_of(run)
        refuse_unclear(weights, images, gallery, exchange)
        described = read_description(weights, accelerator.device, overrides)
        chosen = None if threshold is None else read_threshold(threshold, described.task)
        target = csv_of(output, label_format) or output_beside(run, described.task)
        images = images or default_images(described)
        checked = find_checked(described, images)
        export = None if label_format is None else label_export(described.task, label_format, output, target, images)
        if not exchange.rank:
            refuse_output(described.task.output, target, checked.samples, images)
            refuse_beside(checked.samples, images, gallery, export)
        trained = accelerated(rebuild(described, weights, accelerator.device, overrides))
        if gallery is None:  # which reads from the GPU in a thread of its own
            trained = replace(trained, predictor=trained.predictor.replayed())
        if chosen is not None:
            trained = with_threshold(trained, chosen)
        faults = write_and_report(trained, checked.samples, target, gallery, exchange)
    if not exchange.rank:
        done = len(checked.samples) - len(faults)
        log.info("%s: %s with %s", target, pluralize(done, "image"), weights)
        name_left_out(target, [*checked.faults, *faults], done)
        if export is not None:
            export.write(target)
    return target


def refuse_beside(samples: Sequence[Sample], images: Path, gallery: Path | None, export: LabelExport | None) -> None:
    """Raise `UserError` unless what is wanted beside the predictions can be written."""
    if gallery is not None:
        refuse_among_images(gallery, images)
    if export is not None:
        export.refuse(samples)


def refuse_unclear(weights: Path, images: Path | None, gallery: Path | None, exchange: Exchange) -> None:
    """Raise `UserError` if it is not said which images to predict, or if several processes should draw one page."""
    if images is None and is_of_others(weights):
        raise UserError(f"--images: {weights} is of no run, so it names none. Name a folder of images, or one image.")
    if gallery is not None and exchange.world > 1:
        raise UserError("--gallery: is drawn in one process. Start inference.py without a launcher, or leave it out.")


def write_and_report(
    trained: Trained, samples: list[Sample], target: Path, gallery: Path | None, exchange: Exchange
) -> list[UserError]:
    """Predict `samples`, and log what is remarkable about the images; returns what is wrong with those left out."""
    trained, watch = with_watch(trained)
    with torch_errors_explained(trained.config, trained.predictor.device):
        if gallery is None:
            faults = write_predictions(trained, samples, target, exchange)
        else:
            faults = write_and_draw(trained, samples, target, gallery)
    merge(exchange, watch.looks)
    if isinstance(trained.predictor, ChoosingPredictor):
        merge(exchange, trained.predictor.counts)
    if not exchange.rank:
        watch.name_unusual()
        if isinstance(trained.predictor, ChoosingPredictor):
            trained.predictor.log_choices()
    return faults


def load_for_prediction(weights: Path, device: torch.device, overrides: Sequence[str]) -> Trained:
    """A trained network with settings of prediction changed. Raises `UserError` for other settings."""
    refuse_unchangeable(overrides)
    return accelerated(load_trained(weights, device, overrides))


def accelerated(trained: Trained) -> Trained:
    """Return the network as its device predicts with it soonest."""
    choose_kernels(trained.predictor.device.type, deterministic=trained.config.trainer.deterministic)
    return replace(trained, predictor=trained.predictor.accelerated())


def with_threshold(trained: Trained, threshold: Threshold) -> Trained:
    """Return the network with another threshold."""
    predictor = trained.predictor
    return replace(trained, predictor=replace(predictor, decoder=replace(predictor.decoder, threshold=threshold)))


def with_watch(trained: Trained) -> tuple[Trained, ImageWatch]:
    """Return the network with a watch over the images that it reads, if the images of its task look alike."""
    predictor = trained.predictor
    watch = ImageWatch(predictor.read_image, usual_from(trained.weights.images))
    if not trained.task.checks.one_look:
        return trained, watch
    return replace(trained, predictor=replace(predictor, read_image=watch.read)), watch


def find_checked(trained: Description, images: Path | None) -> Checked:
    """Find the images of a folder, or those below `data.root` that the task predicts by default; check every one."""
    return check_images(trained.task, trained.task.layout.find_images(images or default_images(trained)))


def default_images(trained: Description) -> Path:
    """Return the images below `data.root` that the task predicts if no others are named."""
    images = trained.task.layout.unlabelled_in(Path(trained.config.data.root))
    log.info("reading images from %s, which the weights name; --images reads others", images.absolute())
    return images


@torch.inference_mode()
def write_predictions(
    trained: Trained, samples: list[Sample], output: Path, exchange: Exchange | None = None
) -> list[UserError]:
    """Predict `samples` one after the other into a file that appears when it is whole.

    What an interrupted call had done with the same network and settings is taken over. Returns what is wrong with
    images that are left out. With an `exchange` several processes share the samples.
    """
    return write_with(trained, trained.predictor.masks, samples, output, origin_of(trained), exchange)


@torch.inference_mode()
def write_and_draw(trained: Trained, samples: list[Sample], output: Path, folder: Path) -> list[UserError]:
    """Predict as `write_predictions` does, and draw each mask for a page in `folder`."""
    origin = origin_of(trained)
    with Gallery(folder, trained.task, samples, origin) as gallery:
        faults = write_with(trained, gallery.masks_of(trained.predictor), samples, output, origin)
        reviewed = gallery.write_page(trained.config.title)
    remarked = sum(bool(entry.remarks) for entry in reviewed)
    log.info("%s: %d images, %d with remarks", folder / PAGE, len(reviewed), remarked)
    return faults


def write_with(
    trained: Trained,
    masks: Masks,
    samples: list[Sample],
    output: Path,
    origin: str,
    exchange: Exchange | None = None,
) -> list[UserError]:
    """Write the masks that `masks` predicts, as the network's settings say."""
    predictor = trained.predictor
    return write_masks(
        trained.task,
        masks,
        samples,
        output,
        origin=origin,
        at_once=predictor.images_at_once,
        skip_empty=trained.config.predict.skip_empty,
        threads=decoding_threads(predictor.device),
        exchange=exchange,
    )


def origin_of(trained: Trained) -> str:
    """What a mask follows from, besides its image: weights, settings, and the arithmetic of device and library."""
    predictor = trained.predictor
    settings: dict[str, Any] = {"config": as_dict(trained.config), "threshold": predictor.decoder.threshold}
    if trained.detector is not None:
        settings["detector"] = digest_of(trained.detector.weights.tensors, {})
    return f"{digest_of(trained.weights.tensors, settings)} {predictor.arithmetic} torch-{torch.__version__}"


def output_beside(run: Path, task: Task) -> Path:
    """Return the place of predictions in a run's folder. Raises `UserError` for a weights file, which has none."""
    if run.is_file():
        raise UserError(f"{run}: is a file, so there is no run folder to write to. Name the output with --output.")
    return RunFolder(run).output(task.output.default_name)
