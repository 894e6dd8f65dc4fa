"""Write a network as an ONNX file that is proven equal: `python export.py --run RUN|WEIGHTS --output model.onnx …`."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from configs.command_line import add_overrides
from trainer.records.weights_files import weights_of
from utils.errors import UserError
from utils.files import refuse_unwritable
from utils.program import run_program, start_computing


def main() -> None:
    arguments = parse()
    # Before torch is loaded.
    weights = weights_of(arguments.run)
    refuse_output(arguments.output, weights)
    refuse_calibration(arguments.calibrate, arguments.precision)
    refuse_engine(arguments.engine)
    start_computing()
    from trainer.export.export import Request, export_network

    export_network(Request(**vars(arguments)))


def refuse_output(output: Path, weights: Path) -> None:
    """Raise `UserError` if the file and the model card beside it cannot be written."""
    if output.suffix != ".onnx":
        raise UserError(f"--output {output}: expected a file that ends in .onnx, such as {output.stem}.onnx.")
    refuse_unwritable([output, output.with_suffix(".md")], [weights])


def refuse_calibration(images: Path | None, precision: str) -> None:
    """Raise `UserError` for images to calibrate on that are not there, or have no use."""
    if images is None:
        return
    if precision != "int8":
        raise UserError(f"--calibrate {images}: is for --precision int8 alone. Add that, or leave it out.")
    if not images.exists():
        raise UserError(f"--calibrate {images.absolute()}: no such folder. Name a folder that holds images.")


def refuse_engine(engine: str | None) -> None:
    """Raise `UserError` for an engine whose builder is not installed here."""
    if engine is not None and find_spec(engine) is None:
        raise UserError(
            f"--engine {engine}: the package {engine} is not installed here. Give the command on the machine "
            "with the GPU that the engine is for, or leave the option out."
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Write a trained network as an ONNX file, which predicts without torch. Before the file appears, "
        "it is compared with the network in torch; a file that differs is refused.",
        add_help=False,
    )
    parser.add_argument(
        "--run",
        type=Path,
        required=True,
        metavar="RUN|WEIGHTS",
        help="a run's folder, whose best weights are taken; or a weights file, as inference.py takes it",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE.onnx", help="the file; its model card FILE.md is beside it"
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        default="fp32",
        help="fp16: half the size; int8: a quarter of it, and quicker on most processors (default: fp32)",
    )
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="DIR",
        help="with --precision int8: images such as the file will be given, without labels (default: the run's)",
    )
    parser.add_argument(
        "--for",
        dest="program",
        choices=("rembg",),
        help="write a file that this program loads: it gives images in its own size and normalisation",
    )
    parser.add_argument(
        "--engine",
        choices=("tensorrt",),
        help="also build TensorRT's engine FILE.engine, if TensorRT is installed; for this kind of GPU alone",
    )
    parser.add_argument(
        "--threshold",
        metavar="NUMBER|FILE",
        help="probability above which a pixel belongs to a class, or a file with one for each class, as "
        "python -m trainer.thresholds writes it (default: the config's)",
    )
    add_overrides(parser, "predict otherwise than trained: predict.refine=nuggy")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    run_program(main)
