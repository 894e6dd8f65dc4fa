"""Networks are compared on one page: pictures side by side, and scores if there are true masks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from benchmarks import scenes
from configs.blocks.prediction import Predict
from data.sample import Sample
from data.tasks import TASKS
from models import MODELS
from tests.bad_input.programs import assert_refused, call
from tests.figures import draw_scene
from trainer import trained
from trainer.compare_cutouts.__main__ import main
from trainer.compare_cutouts.comparison import SIDE_PX, look_at
from trainer.drawing.cutouts import on_checkerboard

ONE, GROUP = 1, 3


@pytest.fixture(scope="module", autouse=True)
def small_images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the network small images."""
    recipes = Path(shutil.copytree(trained.PUBLISHED, tmp_path_factory.mktemp("recipes") / "published"))
    recipe = (recipes / "u2net.yaml").read_text(encoding="utf-8")
    (recipes / "u2net.yaml").write_text(recipe.replace("size_px: 320", "size_px: 64"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "PUBLISHED", recipes)
        yield


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A network that cuts out everything, and one that cuts out nothing."""
    folder = tmp_path_factory.mktemp("models")
    tensors = MODELS["u2netp"](1, 3).state_dict()
    for name, bias in (("everything", 20.0), ("nothing", -20.0)):
        torch.save(
            {**tensors, "outconv.weight": torch.zeros(1, 6, 1, 1), "outconv.bias": torch.tensor([bias])},
            folder / f"{name}.pth",
        )
    return [folder / "everything.pth", folder / "nothing.pth"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of one figure and of a group, with their masks."""
    folder = tmp_path_factory.mktemp("data")
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for figures in (ONE, GROUP):
        scene = draw_scene(figures, 0)
        scene.write(folder / "images" / f"{figures}.png")
        cv2.imwrite(str(folder / "masks" / f"{figures}.png"), scene.union.astype(np.uint8) * 255)
    return folder


def share(figures: int) -> float:
    """The share of a photograph that its figures cover: the IoU of cutting out everything."""
    return float(draw_scene(figures, 0).union.mean())


def test_scores_and_pictures_stand_side_by_side_single_figures_and_groups_apart(
    models: list[Path], data: Path, tmp_path: Path
) -> None:
    arguments = ["--images", data / "images", "--masks", data / "masks", "--html", tmp_path / "page.html"]
    ended = call(main, "--models", *models, *arguments)
    assert ended.code == 0, ended.told
    assert f"One object: IoU is best at everything: {share(ONE):.4f} over 1 image." in ended.told
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)', text), "the page needs no other file"
    both, one, group = (part for part in text.split("<h2>")[1:])
    assert both.startswith("All images</h2>")
    assert f"{(share(ONE) + share(GROUP)) / 2:.4f}" in both
    assert "<img" not in both
    assert one.startswith("One object</h2>")
    assert group.startswith("Groups</h2>")
    for part, figures in ((one, ONE), (group, GROUP)):
        assert f"<span>IoU {share(figures):.3f}</span>" in part
        assert "<span>IoU 0.000, nothing found</span>" in part
        assert re.findall(r"<th[^>]*>(?:photograph|truth|everything|nothing)</th>", part)[:2] == [
            "<th>photograph</th>",
            "<th>truth</th>",
        ]
        assert part.count("<img") == 4
    assert "Objects are separate parts of the true mask" in text


def test_without_masks_the_images_about_which_networks_differ_come_first(
    models: list[Path], data: Path, tmp_path: Path
) -> None:
    ended = call(main, "--models", *models, "--images", data / "images", "--html", tmp_path / "page.html")
    assert ended.code == 0, ended.told
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "The images about which the networks differ most come first." in text
    assert text.count("<h2>") == 1
    assert "IoU" not in text
    assert text.count("<img") == 6


FAULTS = {
    "--models A": r"--models: name two or more different runs or weights files",
    "--models A A": r"--models: name two or more different",
    "--models A A B": r"--models: name two or more different",
    "--models A B --html images": r"images: is a folder",
    "--models A B --masks images/1.png": r"1\.png",
    "--models A B --masks empty": r"empty",
}


@pytest.mark.parametrize("given", FAULTS)
def test_what_cannot_be_compared_is_refused(
    given: str, models: list[Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    (data / "empty").mkdir(exist_ok=True)
    words = {"A": models[0], "B": models[1]}
    arguments = [words.get(word, word) for word in given.split()]
    page = [] if "--html" in given else ["--html", tmp_path / "page.html"]
    assert_refused(main, *arguments, "--images", "images", *page, sentence=FAULTS[given])
    assert not (tmp_path / "page.html").exists()


def test_soft_edges_are_drawn_in_the_colours_in_which_they_would_be_written(tmp_path: Path) -> None:
    scene = scenes.draw_scene("soft disc", "wood", 1, (96, 128))
    cv2.imwrite(str(tmp_path / "a.png"), scene.picture[..., ::-1])
    mask = np.asarray(np.round(scene.alpha * 255), np.uint8)[..., None]
    expected = on_checkerboard(scene.colours, mask[..., 0], SIDE_PX).astype(int)
    soft = (mask[..., 0] > 25) & (mask[..., 0] < 230)
    errors = []
    for refine in ("soft", "plain"):
        config = SimpleNamespace(predict=Predict.model_validate({"refine": refine}))
        one = SimpleNamespace(task=TASKS["foreground"], config=config)
        _, cutout, _ = look_at(one, (Sample("a", "a", tmp_path / "a.png"), mask, None))  # type: ignore[arg-type]
        drawn = cv2.imdecode(np.frombuffer(cutout.picture, np.uint8), cv2.IMREAD_COLOR)
        assert drawn is not None
        errors.append(np.abs(drawn.astype(int) - expected)[soft].mean())
    assert errors[0] < 0.6 * errors[1]
