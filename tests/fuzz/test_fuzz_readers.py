"""Whatever bytes a file holds, its reader returns a valid result or raises `UserError`: nothing else ever comes out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.loading.load import load
from configs.loading.nodes import Problem
from configs.loading.yaml_reader import read_text
from data.hand_bone.annotation import read_polygons, survey_polygons
from data.hand_bone.classes import BONES
from data.hand_bone.image import check_image, image_size, read_image
from data.image import LARGEST_SIDE_PX
from data.masks.packed import fill_polygons
from data.masks.rle import area, decode, dice, end_of, from_text, to_text
from data.submission.reader import read_submission
from tests.contest import label_of, square_of
from tests.fuzz.mutations import mutated
from tests.fuzz.readers import READERS, Reader, search
from tests.root import ROOT
from trainer.records.checkpoint import Weights, load_state, load_weights, save_weights
from trainer.records.history import read_history
from utils.errors import UserError

FUZZ = settings.get_profile("fuzz")
SEARCHED_LESS = settings(FUZZ, max_examples=max(1, FUZZ.max_examples // 4))

LABEL = json.dumps(label_of([square_of(index, np.zeros(2, int)) for index in range(len(BONES))])).encode()
RINGS = b"[[[[1, 2], [30, 2], [30.5, 40]]], [[3, 4], [5, 6], [7, 8]]]"
SMALL_LABEL = b'{"annotations": [{"label": "Ulna", "points": ' + RINGS + b"}]}"
ROWS = ("image_name,class,rle", "a_R.png,Radius,1 3 7 2 100 5", "a_R.png,Ulna,", "b.png,Ulna,5 60", "b.png,Radius,1 1")
CSV = "\n".join(ROWS).encode()
QUOTED = "\r\n".join(",".join(f'"{cell}"' for cell in row.split(",")) for row in ROWS).encode()
RECIPES = sorted((ROOT / "configs").glob("*.yaml"))
ARGUMENTS = [b"trainer.epochs=3", b"transform.train[1].p=0.5", b"loss={name: dice, smooth: 1}", b"fold=1"]
METRICS = b"epoch,train_loss,dice,seconds,data_wait_share\n1,0.5,0.1,2.5,0.01\n2,0.4,,2.5,0.01\n"


def refused_or(read: Callable[[], Any]) -> Any:
    """What was read, or None where the reader refused it in one sentence."""
    try:
        return read()
    except UserError as error:
        told = str(error)
    assert told.strip()
    told.encode()  # No halves of characters, which no log file could hold.
    return None


@FUZZ
@given(mutated([b"", b"1 1", b"1 3 7 2 100 5", b"  1  2 ", b"1099511627775 1099511627775"]))
def test_rle_text_becomes_runs_or_a_value_error(text: bytes) -> None:
    try:
        runs = from_text(text)
    except ValueError:
        return
    assert runs.shape == (len(runs), 2)
    assert (runs[:, 0] >= 0).all()
    assert (runs[:, 1] >= 1).all()
    assert (runs[1:, 0] >= runs[:-1].sum(axis=1)).all()
    assert from_text(to_text(runs)).tolist() == runs.tolist()
    assert dice(runs, runs) == 1.0
    if end_of(runs) <= 4096:
        assert np.unpackbits(decode([runs], (64, 64))).sum() == area(runs)


@FUZZ
@given(content=mutated([CSV, QUOTED, CSV.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + CSV]))
def test_a_submission_is_whole_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(content)
    submission = refused_or(lambda: read_submission(path, ["Radius", "Ulna"]))
    for name in submission.names if submission else ():
        assert len(submission.runs[name]) == 2
        refused_or(partial(submission.of, name, (10, 20)))


@FUZZ
@given(content=mutated([LABEL, SMALL_LABEL, LABEL]))
def test_a_label_becomes_polygons_or_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    path.write_bytes(content)
    polygons, faults = survey_polygons(path, BONES)
    assert all(str(fault).isprintable() for fault in faults)
    assert fill_polygons(polygons, (48, 64), len(BONES)).shape == (48, 64, 4)
    found = refused_or(lambda: read_polygons(path, BONES))
    assert (found is None) == bool(faults)


def pngs() -> list[bytes]:
    grey = np.random.default_rng(0).integers(0, 256, (24, 40), np.uint8)
    kinds = (
        grey,
        np.dstack([grey] * 3),
        np.dstack([grey, 255 - grey, grey]),
        np.dstack([grey] * 4),
        grey.astype(np.uint16) * 257,
    )
    return [cv2.imencode(".png", kind)[1].tobytes() for kind in kinds] + [cv2.imencode(".jpg", grey)[1].tobytes()]


@FUZZ
@given(content=mutated(pngs(), at_most=2))
def test_an_image_is_read_as_it_was_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "i.png"
    path.write_bytes(content)
    size, checked = refused_or(lambda: image_size(path)), refused_or(lambda: check_image(path))
    image = refused_or(lambda: read_image(path))
    assert size is None or max(size) <= LARGEST_SIDE_PX
    assert checked is None or checked[0] == size
    if image is not None:
        usual = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert (image.shape, image.dtype) == (size, np.uint8)
        assert usual is not None
        assert np.array_equal(image, usual)


@FUZZ
@given(mutated([path.read_bytes() for path in RECIPES] + [b"a: &x {b: [1, two]}\nc: *x\n"]))
def test_yaml_is_read_or_its_problems_are_reported(content: bytes) -> None:
    problems: list[Problem] = []
    node = read_text(content.decode(errors="replace"), "a.yaml", problems)
    assert node is not None or problems
    if node is not None:
        node.plain()


@SEARCHED_LESS
@given(content=mutated([path.read_bytes() for path in RECIPES]))
def test_a_config_is_whole_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    refused_or(lambda: load(path))


@SEARCHED_LESS
@given(st.lists(mutated(ARGUMENTS), max_size=3))
def test_arguments_are_taken_or_refused(overrides: list[bytes]) -> None:
    arguments = [os.fsdecode(override) for override in overrides]
    refused_or(lambda: load(RECIPES[-1], arguments))


@FUZZ
@given(content=mutated([METRICS]))
def test_a_history_is_whole_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    for row in refused_or(lambda: read_history(path)) or ():
        int(row["epoch"])


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "best.safetensors"
    save_weights(path, Weights({"a": torch.arange(6.0)}, ("x", "y"), {"seed": 1, "model": {"name": "unet"}}, 3, 0.5))
    return path.read_bytes()


@FUZZ
@given(data=st.data())
def test_weights_are_whole_or_refused(data: st.DataObject, weights_file: bytes, tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    path.write_bytes(data.draw(mutated([weights_file])))
    weights = refused_or(lambda: load_weights(path))
    if weights is not None:
        assert isinstance(weights.config, dict)
        assert torch.equal(weights.tensors["a"], torch.arange(6.0))


@SEARCHED_LESS
@given(data=st.data())
def test_a_state_is_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "state-00000001.pt"
    torch.save({"epoch": 1, "model": {"a": torch.arange(6.0)}, "name": "x"}, path)
    path.write_bytes(data.draw(mutated([path.read_bytes()])))
    state = refused_or(lambda: load_state(path))
    assert state is None or isinstance(state, dict)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_broken_files_are_read_or_refused_in_a_sentence(reader: Reader, tmp_path: Path) -> None:
    """The short form of `python -m tests.fuzz`."""
    count = search(reader, 10 if reader.name == "config" else 150, 0, tmp_path)
    assert count.failures == []
    assert count.refused > count.read / 10
