"""The real rembg loads a file that was exported for it, and cuts out what Carpus does."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import carpus
from benchmarks.rembg.environment import python_of
from configs.blocks.images import Transform
from data.cutout.pills.dataset import PillSet, write_split
from data.tasks import TASKS
from runtime.predictor import open_predictor
from tests.root import ROOT
from tests.trainer.export.conftest import Smooth, config_of_pills, write_run
from trainer.export.export import CPU, Request, export_network
from trainer.export.rembg import SESSIONS, for_rembg, session_for
from trainer.records.weights_files import weights_of
from trainer.trained import Trained, load_trained
from utils.errors import UserError

pytestmark = pytest.mark.usefixtures("small_networks")
ENVIRONMENT = ROOT / "runs" / ".rembg"
"""Where `python -m benchmarks.rembg` makes an environment with rembg."""
CUT_OUT = """
import sys
from pathlib import Path
from PIL import Image
from rembg import new_session, remove
model, session, photos, output = sys.argv[1:]
session = new_session(session, model_path=model)
for photo in sorted(Path(photos).iterdir()):
    remove(Image.open(photo), session=session, only_mask=True).save(Path(output) / photo.name)
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose photographs are about as large as the images that rembg gives to the network."""
    folder = tmp_path_factory.mktemp("photos")
    write_split(folder / "train", PillSet(images=4, size_px=320, seed=2), "images", "masks")
    return folder


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = config_of_pills(photos, tmp_path_factory.mktemp("run"))
    transform = config.transform.model_copy(update={"size_px": 160})
    return write_run(config.model_copy(update={"transform": transform}), lambda _: Smooth()).path


@pytest.fixture(scope="module")
def exported(run: Path, small_networks: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_network(Request(run, tmp_path_factory.mktemp("rembg") / "small.onnx", program="rembg"))


def loaded(run: Path) -> Trained:
    return load_trained(weights_of(run), CPU)


def with_transform(trained: Trained, **changes: Any) -> Trained:
    transform = Transform.model_validate({**trained.config.transform.model_dump(), **changes})
    return replace(trained, config=trained.config.model_copy(update={"transform": transform}))


def test_the_real_rembg_cuts_out_what_carpus_does(run: Path, exported: Path, photos: Path, tmp_path: Path) -> None:
    try:
        python = python_of(ENVIRONMENT)
    except UserError as error:
        pytest.skip(str(error))
    images = photos / "train" / "images"
    # A processor that its other tests use too: rembg takes no more of it than they do.
    environment = {**os.environ, "U2NET_HOME": str(exported.parent), "OMP_NUM_THREADS": "1"}
    command = [str(python), "-c", CUT_OUT, str(exported), SESSIONS[0].name, str(images), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    model = carpus.load(run, refine="plain", settings=["predict.tta.hflip=false"])
    differences = []
    for photo in images.iterdir():
        ours = model.cutout(photo).alpha
        theirs = cv2.imread(str(tmp_path / photo.name), cv2.IMREAD_GRAYSCALE)
        assert theirs is not None
        if ours.max() < 250 or ours.min() > 5:
            continue  # rembg stretches masks to 0 and 1, by design
        differences.append(np.abs(ours / 255 - theirs / 255).mean())
    assert len(differences) >= 2
    assert np.mean(differences) < 0.005


def test_a_file_for_rembg_takes_its_images_and_says_so(exported: Path) -> None:
    about = open_predictor(exported).metadata
    assert (about.transform["size_px"], about.transform["divide_by_maximum"]) == (320, True)
    card = exported.with_suffix(".md").read_text()
    assert "images [N, 3, 320, 320] to probabilities [N, 1, 160, 160]" in card
    assert f'U2NET_HOME={exported.parent} rembg i -m u2net_custom -x \'{{"model_path": ' in card
    assert "of a picture without an object it makes one of noise" in card


REFUSED = (
    (
        {"evaluate": ["brightness_contrast"]},
        r"--for rembg: rembg cannot change images as transform\.evaluate does",
    ),
    ({"pad": True}, "--for rembg: rembg stretches images to a square"),
)


@pytest.mark.parametrize(("changes", "sentence"), REFUSED)
def test_what_rembg_cannot_do_is_refused(changes: dict[str, Any], sentence: str, small: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        for_rembg(with_transform(loaded(small), **changes), small)


def test_networks_of_other_images_are_refused(small: Path) -> None:
    trained = replace(loaded(small), task=TASKS["hand_bone"])
    with pytest.raises(UserError, match=r"--for rembg: cuts one object out of RGB photographs, but .* 'hand_bone'"):
        for_rembg(trained, small)


def test_large_networks_are_given_large_images(small: Path) -> None:
    trained = loaded(small)
    assert session_for(with_transform(trained, size_px=[320, 192])).name == "u2net_custom"
    assert session_for(with_transform(trained, size_px=512)).side_px == 1024
