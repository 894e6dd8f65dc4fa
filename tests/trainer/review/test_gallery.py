from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from configs.loading.load import as_dict
from configs.schema import Config
from data.hand_bone.task import hand_bone
from data.submission.reader import read_submission
from trainer.build import build_model
from trainer.inference import infer
from trainer.prediction.predictor import Predictor
from trainer.records.checkpoint import Weights, save_weights
from trainer.records.folder import RunFolder
from utils.errors import UserError

Make = Callable[..., Config]


@pytest.fixture(scope="module")
def weights(make_config_in: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learned nothing, which is enough to be drawn."""
    config = make_config_in(tmp_path_factory.mktemp("weights"))
    folder = RunFolder(config.folder)
    save_weights(
        folder.best_weights, Weights(build_model(config).state_dict(), hand_bone.classes, as_dict(config), 0, 0.0)
    )
    return folder.best_weights


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "images").iterdir())


def test_every_image_is_on_the_page_once_and_the_masks_are_the_same(weights: Path, tmp_path: Path) -> None:
    plain = infer(weights, None, tmp_path / "plain.csv").read_bytes()
    drawn = infer(weights, None, tmp_path / "drawn.csv", gallery=tmp_path / "gallery")
    assert drawn.read_bytes() == plain
    rows = read_submission(drawn, hand_bone.classes)
    facts = json.loads((tmp_path / "gallery" / "gallery.json").read_text())
    assert sorted(image["name"] for image in facts["images"]) == rows.names
    for image in facts["images"]:
        areas = [int(runs[:, 1].sum()) for runs in rows.of(image["name"], tuple(image["size_hw"]))]
        assert [its["area_px"] for its in image["classes"].values()] == areas
    page = (tmp_path / "gallery" / "index.html").read_text()
    shown = re.findall(r'src="([^"]+)"', page)
    assert len(shown) == len(set(shown)) == len(rows.names)
    assert all((tmp_path / "gallery" / path).is_file() for path in shown)
    assert {path.name for path in (tmp_path / "gallery").iterdir()} == {"index.html", "gallery.json", "images"}
    for image in facts["images"]:
        assert image["outlines"].keys() == {name for name, its in image["classes"].items() if its["area_px"]}


def test_an_interrupted_call_draws_what_is_missing(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what was written to the CSV by a call without a gallery."""
    infer(weights, None, tmp_path / "whole.csv", gallery=tmp_path / "whole")
    start_decoding, left = Predictor.start_decoding, [2]

    def stopping(predictor: Predictor, prediction: object) -> object:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return start_decoding(predictor, prediction)  # type: ignore[arg-type]

    for gallery in (None, tmp_path / "parts"):
        left[0] = 2
        with monkeypatch.context() as patch:
            patch.setattr(Predictor, "start_decoding", stopping)
            with pytest.raises(KeyboardInterrupt):
                infer(weights, None, tmp_path / "parts.csv", gallery=gallery)
    infer(weights, None, tmp_path / "parts.csv", gallery=tmp_path / "parts")
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert names_in(tmp_path / "parts") == names_in(tmp_path / "whole")
    for name in ("index.html", "gallery.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_gallery_that_cannot_be_written_is_refused_before_predicting(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: Predictor, batch: Sequence[object]) -> object:
        raise AssertionError(f"predicted {len(batch)} images")

    monkeypatch.setattr(Predictor, "logits", never)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file.*is a file, not a folder\. Name another place\."):
        infer(weights, None, tmp_path / "a.csv", gallery=tmp_path / "file")
