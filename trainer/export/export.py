"""From a trained network to an ONNX file with its model card; the file appears only when it is proven equal."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

import torch

from runtime.settings import read_threshold, refuse_unchangeable
from trainer.export.card import card_of
from trainer.export.description import describe, predicting_plainly
from trainer.export.graph import Graph, graphs_of, refuse_unexportable
from trainer.export.precision import in_eight_bits, in_half_precision
from trainer.export.proof.images import Material, find_material
from trainer.export.proof.logits import BOUND, LogitProof, NotEqual, batch_of, prove_logits
from trainer.export.proof.masks import prove_masks
from trainer.export.proof.proof import BOUNDS, IN_FRAME, Proof
from trainer.export.proof.speed import time_networks
from trainer.export.rembg import REMBG_LIMITS, for_rembg, rembg_command
from trainer.export.report import logits_in_words, say_written
from trainer.export.tensorrt import build_engine
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
    precision: str = "fp32"
    calibrate: Path | None = None
    program: str | None = None
    """The program that the file is for; None: any, as Carpus itself."""
    engine: str | None = None
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
    original, limits = load_plain(weights, request)
    trained = original
    if request.program == "rembg":
        trained, limits = for_rembg(original, weights), [*limits, *REMBG_LIMITS]
    with TemporaryDirectory(prefix="carpus-") as folder:
        material = find_material(trained, weights, Path(folder) / "rendered", request.calibrate)
        plain, path = Path(folder) / "fp32.onnx", Path(folder) / request.output.name
        warn_of_calibration(request, material)
        graph, exact = write_equal(request.output, trained, material, plain)
        described = describe(trained, weights, graph, request.precision, limits)
        content = in_precision(request.precision, trained, graph, plain, material)
        path.write_bytes(with_properties(content, described.metadata.as_properties()))
        proof = prove(request, original, trained, graph, exact, plain, path, material)
        content, engine = path.read_bytes(), build_engine(path, graph) if request.engine else None
    use = command_of(trained, request)
    write_text(request.card, card_of(request.output.name, trained.task, described, graph, proof, use))
    if engine is not None:
        with replacing(request.output.with_suffix(".engine")) as file:
            file.write(engine)
    with replacing(request.output) as file:
        file.write(content)
    say_written(request.output, trained.task, graph, proof, use)
    return request.output


def warn_of_calibration(request: Request, material: Material) -> None:
    """Say before the work begins that a file in 8 bits may be refused, because no image of its use shows its ranges."""
    if request.precision == "int8" and material.calibration.rendered:
        log.warning(
            "%s: its ranges are measured on %s, and it is refused if that loses too much; images such as it will be "
            "given show them better: --calibrate DIR",
            request.output,
            material.calibration,
        )


def command_of(trained: Trained, request: Request) -> str:
    """Return the command that predicts with the file."""
    if request.program == "rembg":
        return rembg_command(trained, request.output)
    return f"python inference.py --model {quote(str(request.output))} --images DIR --output PATH"


def write_equal(output: Path, trained: Trained, material: Material, path: Path) -> tuple[Graph, LogitProof]:
    """Write the file `path` with the best graph that computes what torch does. Raises `UserError` if none does."""
    reason = ""
    for graph in graphs_of(trained):
        path.write_bytes(graph.content)
        try:
            logits = prove_logits(trained, path, graph, material.proof.samples)
        except NotEqual as error:
            reason = str(error)
        else:
            if logits.is_within:
                return graph, logits
            reason = f"differs by more than {BOUND:.0e}: {logits_in_words(logits)}"
        log.info("%s: the graph %s", output.name, reason)
    raise UserError(
        f"{output}: not written, because the exported network is another one than that of torch: its graph {reason}. "
        "Predict with inference.py, or train another network."
    )


def in_precision(precision: str, trained: Trained, graph: Graph, plain: Path, material: Material) -> bytes:
    """Return the file `plain` in the precision of this name."""
    if precision == "fp16":
        return in_half_precision(plain)
    if precision == "int8":
        samples, read = material.calibration.samples, trained.task.read_image
        batches = (batch_of(trained, [read(sample.image)], graph.size_hw).numpy() for sample in samples)
        return in_eight_bits(plain, batches, len(samples), plain.parent)
    return graph.content


def prove(
    request: Request,
    original: Trained,
    trained: Trained,
    graph: Graph,
    exact: LogitProof,
    plain: Path,
    path: Path,
    material: Material,
) -> Proof:
    """Compare the file `path` with torch: what it computes with `trained`, and its masks with those of `original`.

    Raises `UserError` if it differs by more than its precision may.
    """
    precision = request.precision
    try:
        own = exact if precision == "fp32" else prove_logits(trained, path, graph, material.proof.samples)
    except NotEqual as error:
        raise refused(request, str(error)) from error
    masks = prove_masks(original, path, material.proof)
    seconds = time_networks(trained, {"fp32": plain, precision: path}, graph)
    sizes = {"fp32": len(graph.content), precision: path.stat().st_size}
    bound = BOUNDS[precision] if request.program is None else BOUNDS[precision].wider(IN_FRAME)
    proof = Proof(precision, material, exact, own, masks, bound, seconds, sizes)
    fault = proof.fault(trained.task)
    if fault is not None:
        raise refused(request, fault)
    return proof


def refused(request: Request, reason: str) -> UserError:
    """Return the sentence of a file that differs too much to be written."""
    way_out = {
        "fp32": "Predict with inference.py, or train another network.",
        "fp16": "Export it in fp32.",
        "int8": "Calibrate it on more images, such as it will be given, with --calibrate DIR, or export it in fp16.",
    }
    return UserError(f"{request.output}: not written, because the file {reason}. {way_out[request.precision]}")


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
