"""A detector cuts out all people of a photograph: its masks are joined, and photographs without people get no file."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import inference
import train
from models import MODELS
from models.maskrcnn import Detected, Detector, maskrcnn
from models.pretrained.recognise import recognise
from tests.bad_input.programs import assert_refused, call
from tests.figures import as_tensor, draw_scene, small_detector, small_maskrcnn, trained_detector
from trainer import trained
from trainer.compare_cutouts import __main__ as compare_cutouts
from trainer.ensemble.predict import predict_together
from trainer.one_image import load_image_predictor
from transform.normalise import Normalisation
from utils.arrays import Bytes
from utils.errors import UserError

RECIPE = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SEED, LARGER = 1000, 4


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A weights file as torchvision's, of the small detector in the place of the large one."""
    torch.save(trained_detector().state_dict(), tmp_path / "maskrcnn.pth")
    recipes = Path(shutil.copytree(trained.PUBLISHED, tmp_path / "recipes"))
    recipe = (recipes / "maskrcnn.yaml").read_text(encoding="utf-8")
    (recipes / "maskrcnn.yaml").write_text(recipe.replace("[800, 1333]", "[96, 128]"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "maskrcnn", small_maskrcnn)
        patch.setattr(trained, "PUBLISHED", recipes)
        yield tmp_path / "maskrcnn.pth"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A photograph of one figure and one of a group, of four times the network's size, and one of nobody."""
    folder = tmp_path / "photos"
    folder.mkdir()
    draw_scene(1, SEED).write(folder / "one.png", LARGER)
    draw_scene(3, SEED).write(folder / "group.png", LARGER)
    draw_scene(0, SEED).write(folder / "nobody.png")
    return folder


def read(path: Path) -> Bytes:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)


def overlap(alpha_HW: Bytes, figures: int) -> float:
    """The IoU of an alpha with the truth."""
    true, found = draw_scene(figures, SEED).union.repeat(LARGER, 0).repeat(LARGER, 1), alpha_HW >= 128
    return float((true & found).sum() / (true | found).sum())


def test_the_union_is_that_of_the_masks_that_torchvision_finds() -> None:
    scene, detector = draw_scene(3, SEED), trained_detector()
    with torch.inference_mode():
        found = detector([as_tensor(scene.image)])[0]
        union = found["masks"][found["scores"] >= 0.5].amax(0)
        images = RECIPE(torch.from_numpy(scene.image)[None])
        network = Detector(detector).eval()
        assert network.detect(images)[0].count == 3
        assert torch.allclose(network(images)[0].sigmoid(), union, atol=1e-5)


def test_only_what_has_the_label_counts() -> None:
    network = Detector(trained_detector(), label=2).eval()
    with torch.inference_mode():
        images = RECIPE(torch.from_numpy(draw_scene(2, SEED).image)[None])
        assert network.detect(images)[0].count == 0
        assert network(images).max() < -16


def test_a_score_of_one_half_counts() -> None:
    heads = Detector(small_detector()).roi_heads
    box = torch.tensor([[8.0, 8.0, 40.0, 40.0]])
    _, scores, labels = heads.postprocess_detections(torch.zeros(1, 2), torch.zeros(1, 8), [box], [(96, 128)])
    assert scores[0].tolist() == [0.5]
    assert labels[0].tolist() == [1]


def test_masks_are_joined_at_the_highest_probability_and_end_with_their_boxes() -> None:
    boxes = torch.tensor([[0.0, 0.0, 20.0, 20.0], [10.0, 0.0, 30.0, 20.0]])
    masks = torch.stack([torch.full((1, 28, 28), value) for value in (0.75, 0.25)])
    values = Detected(boxes, masks).logits((40, 40))[0].sigmoid()
    assert values[10, [5, 15, 25]].tolist() == pytest.approx([0.75, 0.75, 0.25])
    assert values[30:].max() < 1e-6


def test_people_are_cut_out_and_a_photograph_of_nobody_gets_no_file(file: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = call(inference.main, "--run", file, "--images", photos, "--output", out)
    assert ended.code == 2, "one photograph has no file"
    assert "out: 1 image has no prediction; 2 others are done" in ended.told
    assert "nobody: nothing is found in this image (predict.skip_empty)" in ended.told
    assert sorted(path.name for path in out.glob("*.png")) == ["group.png", "one.png"]
    one, group = read(out / "one.png"), read(out / "group.png")
    assert one.shape == group.shape == (96 * LARGER, 128 * LARGER, 4)
    assert overlap(one[..., 3], 1) > 0.65
    assert overlap(group[..., 3], 3) > 0.65


def test_if_nobody_is_found_in_any_photograph_the_call_ends_with_one_sentence(
    file: Path, photos: Path, tmp_path: Path
) -> None:
    arguments = ["--run", file, "--images", photos / "nobody.png", "--output", tmp_path / "cut.png"]
    assert_refused(inference.main, *arguments, sentence=r"nobody: nothing is found in this image")
    assert not (tmp_path / "cut.png").exists()


def test_an_older_file_of_a_photograph_of_nobody_stays_and_is_named(file: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "nobody.png").write_bytes(b"older")
    ended = call(inference.main, "--run", file, "--images", photos, "--output", out)
    assert ended.code == 2
    assert "nobody.png: is of an earlier call; its image has no prediction now" in ended.told
    assert (out / "nobody.png").read_bytes() == b"older"


def test_empty_masks_are_written_if_so_configured(file: Path, photos: Path, tmp_path: Path) -> None:
    arguments = ["--run", file, "--images", photos, "--output", tmp_path / "out", "predict.skip_empty=false"]
    assert call(inference.main, *arguments).code == 0
    assert read(tmp_path / "out" / "nobody.png")[..., 3].max() == 0


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A network of others that finds nothing anywhere."""
    tensors = MODELS["u2netp"](1, 3).state_dict()
    tensors |= {"outconv.weight": torch.zeros(1, 6, 1, 1), "outconv.bias": torch.tensor([-20.0])}
    torch.save(tensors, tmp_path / "own.pth")
    return tmp_path / "own.pth"


def choose(own: Path, detector: Path, photos: Path, output: Path) -> str:
    arguments = ["--run", own, "--images", photos, "--output", output, "transform.size_px=64", "predict.model=auto"]
    ended = call(inference.main, *arguments, f"predict.detector={detector}")
    assert ended.code == 0, ended.told
    return ended.told


def test_a_group_is_cut_out_by_the_detector_and_any_other_photograph_by_the_own_network(
    file: Path, own: Path, photos: Path, tmp_path: Path
) -> None:
    told = choose(own, file, photos, tmp_path / "out")
    assert "1 of 3 by the detector, for several people: group.png" in told
    assert "1 of 3 by the own network, without people: nobody.png" in told
    alphas = {path.stem: read(path)[..., 3] for path in (tmp_path / "out").iterdir()}
    assert alphas.keys() == {"one", "group", "nobody"}
    assert [name for name, alpha in alphas.items() if alpha.max() > 0] == ["group"]
    assert overlap(alphas["group"], 3) > 0.65


def test_a_comparison_with_a_detector_shows_single_people_and_groups_apart(
    file: Path, own: Path, photos: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    ended = call(compare_cutouts.main, "--models", own, file, "--images", photos, "--html", page)
    assert ended.code == 0, ended.told
    text = page.read_text(encoding="utf-8")
    assert "Objects are counted by maskrcnn, which finds people." in text
    parts = [part.partition("</h2>") for part in text.split("<h2>")[1:]]
    assert [title for title, _, _ in parts] == ["One object", "Groups", "No object"]
    for (_, _, rows), name in zip(parts, ("one", "group", "nobody"), strict=True):
        assert re.findall(r'alt="(\w+) \(', rows)[0] == name
        assert rows.count("<img") == 3
        assert rows.count("nothing found") == (2 if name == "nobody" else 1)


DETECTORS = {
    "predict.detector=gone.pth": r"predict\.detector: gone\.pth is not there; name the weights file of a detector",
    "predict.detector=own.pth": r"predict\.detector: own\.pth is no network that finds single objects for task 'foregr",
    "predict.tta.hflip=false": r"predict\.model=auto: 'auto' needs the weights file of a detector in predict\.detector",
}


@pytest.mark.parametrize("setting", DETECTORS)
def test_a_detector_that_cannot_be_is_refused(
    setting: str, own: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own.parent)
    arguments = ["--run", own, "--images", photos, "--output", "out", "predict.model=auto", setting]
    assert_refused(inference.main, *arguments, sentence=DETECTORS[setting])


def test_a_choice_is_refused_by_ensembles_and_by_the_library(
    own: Path, file: Path, photos: Path, tmp_path: Path
) -> None:
    settings = ("transform.size_px=64", "predict.model=auto", f"predict.detector={file}")
    with pytest.raises(UserError, match=r"own\.pth: predict\.model=auto chooses between two networks, which is no ens"):
        predict_together([own, own], photos, tmp_path / "out", overrides=settings)
    assert not list(tmp_path.glob("out/*"))
    with pytest.raises(UserError, match=r"predict\.model=auto: chooses for the images of inference\.py"):
        load_image_predictor(own, settings)


def test_a_detector_that_is_not_asked_is_refused(own: Path, photos: Path) -> None:
    arguments = ["--run", own, "--images", photos, "--output", "out", "predict.detector=a.pth"]
    assert_refused(inference.main, *arguments, sentence=r"detector=a\.pth: is used by predict\.model=auto alone")


def test_what_only_predicts_cannot_be_trained(file: Path, photos: Path, tmp_path: Path) -> None:
    for folder, figures in (("images", 1), ("masks", 0)):
        (tmp_path / "train" / folder).mkdir(parents=True)
        for number in range(4):
            scene = draw_scene(1, number)
            pixels = scene.image if figures else scene.union.astype(np.uint8) * 255
            cv2.imwrite(str(tmp_path / "train" / folder / f"{number}.png"), pixels)
    settings = [f"data.root={tmp_path}", f"run.folder={tmp_path / 'runs'}", "data.folds=2", "data.workers=0"]
    recipe = ["--config", "configs/published/maskrcnn.yaml", *settings]
    assert_refused(train.main, *recipe, sentence=r"model: 'maskrcnn' predicts with weights of others and cannot be")
    assert_refused(train.main, *recipe, "model=u2netp", sentence=r"transform\.keep_ratio: is for prediction alone")


def test_the_large_network_has_the_names_of_torchvision_and_gives_logits_of_any_size(tmp_path: Path) -> None:
    network = maskrcnn(1, 3).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 50, 70)).shape == (1, 1, 50, 70)
    tensors = {name: torch.zeros(()).expand(its.shape) for name, its in network.state_dict().items()}
    assert "roi_heads.mask_predictor.mask_fcn_logits.weight" in tensors
    assert sum(its.numel() for its in network.parameters()) == 46_359_409
    del tensors["rpn.head.cls_logits.bias"]
    torch.save(tensors, tmp_path / "part.pth")
    with pytest.raises(UserError, match=r"part\.pth: holds neither .*lacks 1 of the \d+ tensors of maskrcnn, 'rpn\.h"):
        recognise(tmp_path / "part.pth")


def test_it_is_for_one_class_of_rgb_images() -> None:
    with pytest.raises(UserError, match="cuts people out of RGB photographs, one class; the task has 29, of images w"):
        maskrcnn(29, 1)
