"""From a trained network to an ONNX file with its model card; the file appears only when it is proven equal."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from runtime.settings import read_threshold, refuse_unchangeable
from trainer.export.card import card_of
from trainer.export.description import Described, describe, predicting_plainly
from trainer.export.graph import Graph, graphs_of, refuse_unexportable
from trainer.export.proof.images import ProofImages, find_proof_images
from trainer.export.proof.logits import BOUND, LogitProof, NotEqual, prove_logits
from trainer.export.proof.masks import prove_masks
from trainer.export.report import logits_in_words, say_written
from trainer.records.weights_files import weights_of
from trainer.trained import Trained, read_description, rebuild
from utils.errors import UserError
from utils.files import refuse_unwritable, replacing, write_text
from utils.onnx_file import with_properties

log = logging.getLogger(__name__)

CPU = torch.device("cpu")
"""Where a network is compared: ONNX Runtime computes there too."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for, by the names of its options."""

    run: Path
    output: Path
    threshold: str | None = None
    overrides: Sequence[str] = ()

    @property
    def card(self) -> Path:
        """The model card beside the file."""
        return self.output.with_suffix(".md")


def export_network(request: Request) -> Path:
    """Write the network of a run, or of a weights file, as an ONNX file with its model card; returns the file.

    Raises `UserError` if the network cannot be exported, or the file does not compute what it does. Nothing is written
    then.
    """
    refuse_unchangeable(request.overrides)
    weights = weights_of(request.run)
    refuse_unwritable([request.output, request.card], [weights])
    trained, left_out = load_plain(weights, request)
    with TemporaryDirectory(prefix="carpus-") as folder:
        images = find_proof_images(trained, weights, Path(folder) / "rendered")
        path = Path(folder) / request.output.name
        described, graph, logits = write_equal(request, trained, weights, images, path, left_out)
        masks = prove_masks(trained, path, images)
        content = path.read_bytes()
    card = card_of(request.output.name, len(content), trained.task, described, graph, images, logits, masks)
    write_text(request.card, card)
    with replacing(request.output) as file:
        file.write(content)
    say_written(request.output, trained.task, graph, images, logits, masks)
    return request.output


def write_equal(
    request: Request, trained: Trained, weights: Path, images: ProofImages, path: Path, limits: Sequence[str]
) -> tuple[Described, Graph, LogitProof]:
    """Write the file `path` with the best graph that computes what torch does. Raises `UserError` if none does."""
    reason = ""
    for graph in graphs_of(trained):
        described = describe(trained, weights, graph, limits)
        path.write_bytes(with_properties(graph.content, described.metadata.as_properties()))
        try:
            logits = prove_logits(trained, path, graph, images.samples)
        except NotEqual as error:
            reason = str(error)
        else:
            if logits.is_within:
                return described, graph, logits
            reason = f"differs by more than {BOUND:.0e}: {logits_in_words(logits)}"
        log.info("%s: the graph %s", request.output.name, reason)
    raise UserError(
        f"{request.output}: not written, because the exported network is another one than that of torch: its graph "
        f"{reason}. Predict with inference.py, or train another network."
    )


def load_plain(weights: Path, request: Request) -> tuple[Trained, list[str]]:
    """Load a network as it predicts in an ONNX file: whole images, one view, no other network; and what that drops."""
    description = read_description(weights, CPU, request.overrides)
    chosen = None if request.threshold is None else read_threshold(request.threshold, description.task)
    config, left_out = predicting_plainly(description.config)
    trained = rebuild(replace(description, config=config), weights, CPU, request.overrides)
    refuse_unexportable(trained, weights)
    for sentence in left_out:
        log.warning("%s", sentence)
    if chosen is not None:
        predictor = trained.predictor
        decoder = replace(predictor.decoder, threshold=chosen)
        trained = replace(trained, predictor=replace(predictor, decoder=decoder))
    return trained, left_out
