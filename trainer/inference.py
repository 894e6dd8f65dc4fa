"""From a trained run and a folder of images to the output file; decoding, network and encoding run side by side."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from accelerate import Accelerator

from data.check.refuse import refuse_broken
from data.sample import Sample
from trainer.build import Trained, load_trained
from trainer.checkpoint import digest_of
from trainer.faults import in_words
from trainer.folder import RunFolder
from trainer.harden import Bytes
from utils.errors import UserError
from utils.overlap import overlapped
from utils.progress import track

log = logging.getLogger(__name__)


def infer(run: Path, images: Path | None, output: Path | None) -> Path:
    """Predict every image of a folder with a run's best weights; returns the file written.

    `run` is a run's folder or a weights file. Without `images` those of `<data.root>/test/DCM` are predicted; without
    `output` a run's folder takes `submission.csv`. Raises `UserError` for anything missing.
    """
    weights = weights_of(run)
    trained = load_trained(weights, Accelerator(mixed_precision="no").device)
    folder = images or Path(trained.config.data.root) / "test" / "DCM"
    samples = trained.task.find_images(folder)
    refuse_broken(samples, trained.task.check, leave_out="move them out of the folder.")
    target = output or submission_beside(run)
    if target.is_dir():
        raise UserError(f"{target}: is a folder. Name a file, such as {target / 'submission.csv'}.")
    try:
        write_predictions(trained, samples, target)
    except Exception as error:
        words = in_words(error, trained.config, trained.predictor.device)
        if words is not None:
            raise words from error
        raise
    log.info("%s: %d images with %s", target, len(samples), weights)
    return target


def write_predictions(trained: Trained, samples: list[Sample], output: Path) -> None:
    """Predict `samples` one after the other into a file that appears when it is whole.

    What an interrupted call had done with the same network is taken over.
    """
    predictor = trained.predictor
    with (
        trained.task.open_writer(output, samples, origin_of(trained), predictor.batch_size) as writer,
        torch.inference_mode(),
    ):

        def write(predicted: tuple[Sample, Bytes]) -> None:
            writer.write_mask(predicted[0].name, predicted[1])

        done = writer.done
        if done:
            log.info("%s: %d of %d images are there from an interrupted call, going on", output, done, len(samples))
        written = overlapped(write, predictor.masks(samples[done:]), workers=1, ahead=3)
        for _ in track(written, "Predicting", len(samples), done=done):
            pass


def origin_of(trained: Trained) -> str:
    """What a mask follows from, besides its image: weights, settings, and the arithmetic of device and library."""
    weights, predictor = trained.weights, trained.predictor
    arithmetic = f"{predictor.device.type} {predictor.precision.name} torch-{torch.__version__}"
    return f"{digest_of(weights.tensors, weights.config)} {arithmetic}"


def weights_of(run: Path) -> Path:
    """The best weights of a run's folder, or the file itself."""
    if run.is_file():
        return run
    best = RunFolder(run).best_weights
    if best.is_file():
        return best
    if RunFolder(run).config.exists():
        raise UserError(f"{run}: this run has no best weights yet. Let it finish an epoch that is scored.")
    near = ", ".join(sorted(str(path.parent) for path in run.parent.glob("*/config.yaml")))
    there_is = f"; there is {near}" if near else ""
    raise UserError(f"{run}: no run here. Name a run's folder or a .safetensors file{there_is}.")


def submission_beside(run: Path) -> Path:
    if run.is_file():
        raise UserError(f"{run}: is a file, so there is no run folder to write to. Name the output with --output.")
    return RunFolder(run).submission
