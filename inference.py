"""Predict images: `python inference.py --run RUN [--images DIR] [--output PATH] [--gallery DIR] [key=value …]`.

`--model FILE.onnx` is the same option under the name that suits a file: it predicts without torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from configs.command_line import add_overrides
from trainer.records.weights_files import weights_of
from utils.arguments import Once
from utils.errors import UserError
from utils.files import refuse_missing_images
from utils.processes import process_ranks, report_once
from utils.program import quick_imports, run_program, start_computing


def main() -> None:
    arguments = parse()
    # Before torch is loaded.
    with report_once():
        refuse_missing_images(arguments.images)
        weights_of(arguments.run)
    start_computing(quiet=not process_ranks().is_main)
    if arguments.run.suffix == ".onnx" and not needs_torch(arguments):
        with quick_imports():
            from runtime.infer import infer_onnx
        with report_once():
            refuse_several_processes(arguments.run)
        infer_onnx(
            arguments.run,
            arguments.images,
            arguments.output,
            threshold=arguments.threshold,
            label_format=arguments.format,
            overrides=arguments.overrides,
        )
        return
    with quick_imports():
        from trainer.inference import infer

    infer(
        arguments.run,
        arguments.images,
        arguments.output,
        threshold=arguments.threshold,
        gallery=arguments.gallery,
        label_format=arguments.format,
        overrides=arguments.overrides,
    )


def refuse_several_processes(model: Path) -> None:
    """Raise `UserError` if a launcher has started several processes, which ONNX Runtime does not share images among."""
    if process_ranks().world > 1:
        raise UserError(f"{model}: an ONNX file predicts in one process. Start inference.py without a launcher.")


def needs_torch(arguments: argparse.Namespace) -> bool:
    """Return whether an ONNX file must be converted to a network of torch: for a gallery, several views or windows."""
    views = tuple(f"predict.{key}" for key in ("average", "tta", "windows"))
    return arguments.gallery is not None or any(each.strip().startswith(views) for each in arguments.overrides)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Predict a folder of images with a run's best weights, or with an exported ONNX file.",
        add_help=False,
    )
    parser.add_argument(
        "--run",
        "--model",
        dest="run",
        action=Once,
        type=Path,
        required=True,
        metavar="RUN|FILE",
        help="a run's folder; an ONNX file that export.py wrote, which needs no torch; or a weights file: of a run, or "
        "a whole u2net, u2netp or isnet of its authors (.safetensors, .pth, .onnx), such as python -m models.fetch "
        "writes",
    )
    parser.add_argument("--images", type=Path, help="images such as <root>/test/DCM, or one (default: the config's)")
    parser.add_argument(
        "--output",
        type=Path,
        help="what to write: hand bones: a CSV; cut-outs: a folder, or for one image a file such as a.png or a.webp "
        "(default: submission.csv or cutouts/ in the run's folder)",
    )
    parser.add_argument(
        "--threshold",
        metavar="NUMBER|FILE",
        help="probability above which a pixel belongs to a class, or a file with one for each class, as "
        "python -m trainer.thresholds writes it (default: the config's)",
    )
    parser.add_argument(
        "--format",
        choices=("contest", "coco", "labelme", "cvat"),
        help="also write the predictions as labels of a labelling tool, to --output (default: labels_… in the run's "
        "folder); the CSV lies beside them",
    )
    parser.add_argument(
        "--gallery", type=Path, help="also draw the predictions into this folder: index.html shows unusual ones first"
    )
    add_overrides(parser, "predict otherwise than trained: predict.tta.hflip=true")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    run_program(main)
