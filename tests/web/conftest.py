"""Small networks in files, and applications that serve them in the process of the test."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.runtime.networks import small_for, write_described
from web.app import build_app
from web.settings import Serve


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """An ONNX file that cuts out and one that segments hands, called cut and bones."""
    folder = tmp_path_factory.mktemp("models")
    cut = write_described(folder / "cut.onnx", small_for("foreground"), "foreground", licence="MIT", attributions=["A"])
    bones = write_described(folder / "bones.onnx", small_for("hand_bone"), "hand_bone")
    return [str(cut), str(bones)]


@pytest.fixture(scope="session")
def client(models: list[str]) -> Iterator[TestClient]:
    """A client of an application with both models and the usual settings."""
    with client_of(models) as client:
        yield client


def client_of(models: list[str], **settings: object) -> TestClient:
    """Return a client of an application with these settings, to be used in a `with`."""
    app = build_app(Serve(models=tuple(models), **settings))
    return TestClient(app, raise_server_exceptions=False)


def photo(side_px: int = 64, kind: str = "PNG", seed: int = 0) -> bytes:
    """Return the file of a colourful image."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side_px, side_px + 8, 3), np.uint8)
    return encoded(pixels, kind)


def hand(side_px: int = 64) -> bytes:
    """Return the file of a grey image."""
    return encoded(np.random.default_rng(1).integers(0, 256, (side_px, side_px), np.uint8), "PNG")


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))
