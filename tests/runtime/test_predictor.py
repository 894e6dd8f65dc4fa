"""A network in an ONNX file predicts as it does in torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from data.refine import preset
from data.sample import Sample
from data.tasks import TASKS
from models import MODELS
from models.precision import Precision
from models.pretrained.folding import ImageNetwork, layers_in_order
from models.pretrained.recognise import RECOGNISED
from runtime.decode import as_alpha, shrunk_to_alpha
from runtime.model.published import RECIPES, SIGNATURES, signature_of
from runtime.predictor import open_predictor
from tests.onnx_files import write_onnx
from tests.runtime.networks import GREY, RGB, SIDE_PX, Small, small_for, write_described
from trainer.prediction.decode import AlphaDecoder, BitDecoder, Decoder
from trainer.prediction.predictor import Prediction, Predictor
from transform.base import MaskFormat
from transform.normalise import Normalisation
from transform.pipeline import Pipeline
from utils.arrays import Image, StoredMask
from utils.errors import UserError


def photo(seed: int = 0, size_hw: tuple[int, int] = (90, 131)) -> Image:
    """A picture of large spots, RGB."""
    import cv2

    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, size_hw[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def radiograph() -> Image:
    return np.ascontiguousarray(photo(1)[..., 0])


def by_torch(network: nn.Module, task: str, image: Image, decoder: Decoder, *, pad: bool = False) -> StoredMask:
    """The mask that a run's predictor makes."""
    settings = RGB if TASKS[task].channels == 3 else GREY
    mean, std = (tuple(each) if isinstance(each, list) else each for each in (settings["mean"], settings["std"]))
    predictor = Predictor(
        network=network,
        transform=Pipeline(size_px=SIDE_PX, pad=pad, masks=MaskFormat(TASKS[task].classes)),
        normalise=Normalisation(mean, std),
        precision=Precision("fp32", "cpu"),
        device=torch.device("cpu"),
        read_image=TASKS[task].read_image,
        decoder=decoder,
    )
    loaded = replace(predictor.look(Sample("a", "a", Path("a")), image), image=image)
    return predictor.decode(Prediction(loaded, predictor.logits([loaded])[0]))


@pytest.mark.parametrize("refine", ["plain", "soft"])
@pytest.mark.parametrize("ends_in_sigmoid", [False, True])
def test_an_alpha_differs_from_the_runs_by_one_grey_level_at_most(
    ends_in_sigmoid: bool, refine: str, tmp_path: Path
) -> None:
    # Logits of 100 and more: a probability of float32 would not tell them apart.
    path = write_described(
        tmp_path / "a.onnx", small_for("foreground", ends_in_sigmoid=ends_in_sigmoid, scale=20), "foreground"
    )
    image = photo()
    expected = by_torch(small_for("foreground", scale=20), "foreground", image, AlphaDecoder(refine=preset(refine)))
    found = open_predictor(path, [f"predict.refine={refine}"]).mask(image)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert 0.02 < (expected > 127).mean() < 0.98


def test_bits_are_those_of_the_run(tmp_path: Path) -> None:
    path = write_described(tmp_path / "a.onnx", small_for("hand_bone"), "hand_bone", predict={"threshold": 0.4})
    expected = by_torch(small_for("hand_bone"), "hand_bone", radiograph(), BitDecoder(0.4))
    found = open_predictor(path).mask(radiograph())
    assert found.shape == expected.shape == (90, 131, 4)
    assert (found != expected).mean() < 1e-3
    assert expected.any()


@pytest.mark.parametrize("task", ["hand_bone", "foreground"])
def test_a_network_of_padded_images_predicts_as_the_run(task: str, tmp_path: Path) -> None:
    transform = {**(RGB if task == "foreground" else GREY), "pad": True}
    path = write_described(tmp_path / "a.onnx", small_for(task), task, transform=transform)
    image = photo() if task == "foreground" else radiograph()
    decoder = AlphaDecoder() if task == "foreground" else BitDecoder()
    expected = by_torch(small_for(task), task, image, decoder, pad=True)
    stretched = by_torch(small_for(task), task, image, decoder)
    found = open_predictor(path, ["predict.refine=plain"] if task == "foreground" else []).mask(image)
    assert found.shape == expected.shape
    if task == "foreground":
        assert np.abs(found.astype(int) - expected).max() <= 1
    else:
        assert (found != expected).mean() < 1e-3
    assert (stretched != expected).mean() > 0.01


def test_thresholds_of_classes_are_read_from_the_file(tmp_path: Path) -> None:
    thresholds = {name: 0.99 if place else 0.01 for place, name in enumerate(TASKS["hand_bone"].classes)}
    path = write_described(tmp_path / "a.onnx", small_for("hand_bone"), "hand_bone", thresholds=thresholds)
    expected = by_torch(small_for("hand_bone"), "hand_bone", radiograph(), BitDecoder(tuple(thresholds.values())))
    assert (open_predictor(path).mask(radiograph()) != expected).mean() < 1e-3


def test_of_a_probability_without_its_logits_they_are_computed(tmp_path: Path) -> None:
    network = small_for("foreground", ends_in_sigmoid=True)

    class Twice(Small):
        """Its output is no sigmoid for who reads the file."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) * 1.0 + 0.0 * images.mean()

    twice = Twice(3, 1, ends_in_sigmoid=True).eval()
    path = write_described(tmp_path / "a.onnx", twice, "foreground")
    predictor = open_predictor(path, ["predict.refine=plain"])
    expected = by_torch(small_for("foreground"), "foreground", photo(), AlphaDecoder())
    assert np.abs(predictor.mask(photo()).astype(int) - expected).max() <= 1
    assert network.ends_in_sigmoid


def test_images_come_in_their_order_from_several_threads(tmp_path: Path) -> None:
    import cv2

    path = write_described(tmp_path / "a.onnx", small_for("foreground"), "foreground")
    samples = []
    for number in range(6):
        image = tmp_path / f"{number}.png"
        cv2.imwrite(str(image), photo(number)[..., ::-1])
        samples.append(Sample(str(number), str(number), image))
    predictor = open_predictor(path, workers=3)
    found = list(predictor.masks(samples))
    assert [sample for sample, _ in found] == samples
    for number, (_, mask) in enumerate(found):
        np.testing.assert_array_equal(mask, predictor.mask(photo(number)))


def test_published_networks_are_recognised_as_torch_recognises_them() -> None:
    expected = {}
    for name in RECOGNISED:
        network = MODELS[name](1, 3)
        assert isinstance(network, ImageNetwork)
        if getattr(network, "takes_any_size", False):
            continue  # what it computes depends on what it finds, so its layers have no order
        layers = [layer for _, layer in layers_in_order(network) if isinstance(layer, nn.Conv2d)]
        expected[signature_of([(tuple(layer.weight.shape), layer.dilation[0]) for layer in layers])] = name
    assert expected == SIGNATURES
    assert {path.stem for path in RECIPES.glob("*.yaml")} == set(RECOGNISED)


def test_a_published_network_is_given_images_as_its_authors_do(tmp_path: Path) -> None:
    predictor = open_predictor(write_onnx(tmp_path / "p.onnx", MODELS["u2netp"](1, 3), side_px=320))
    assert predictor.metadata.run == "u2netp"
    assert predictor.pipeline.size_hw == (320, 320)
    assert predictor.normalise == Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), by_maximum=True)
    assert predictor.mask(photo()).shape == (90, 131, 1)


REFUSED: tuple[tuple[dict[str, Any], list[str], str], ...] = (
    ({"task": "cats"}, [], r"a\.onnx: was trained for task 'cats' with other classes than it has now\. Name another"),
    ({"classes": ("a",)}, [], r"was trained for task 'foreground' with other classes"),
    ({}, ["transform.size_px=32"], r"a\.onnx: takes images of 1 x 3 x 64 x 64, but would be given 1 x 3 x 32 x 32 "),
    ({}, ["predict.tta.hflip=true"], r"predict\.windows and predict\.tta need torch\. Name the run or its weights"),
    ({}, ["predict.zoom=true"], r"predict\.zoom needs torch\. Name the run or its weights file, or write false"),
    ({"predict": {"windows": {"size_px": 64}}}, [], r"predict\.windows and predict\.tta need torch"),
    ({}, ["predict.model=auto", "predict.detector=a.pth"], r"a\.onnx: predict\.model=auto needs torch\. Name the run"),
    ({}, ["predict.refin=soft"], r"predict\.refin=soft: unknown key\. Did you mean 'refine'"),
    ({}, ["trainer.precision=fp16"], r"trainer\.precision: cannot be changed in a trained run\. .* transform\.size_px"),
    ({}, ["predict.threshold=0.3"], r"predict\.threshold: is for hard masks"),
    ({"transform": {"size": 64}}, [], r"transform\.size: unknown key"),
)


@pytest.mark.parametrize(("changes", "overrides", "sentence"), REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(
    changes: dict[str, Any], overrides: list[str], sentence: str, tmp_path: Path
) -> None:
    path = write_described(tmp_path / "a.onnx", small_for("foreground"), "foreground", **changes)
    with pytest.raises(UserError, match=sentence):
        open_predictor(path, overrides)


def test_files_that_are_no_such_network_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_described(tmp_path / "a.onnx", small_for("foreground"), "foreground")
    whole = path.read_bytes()
    misnamed = whole.replace(b"/Conv_output", b"/C\xffnv_output", 1)
    for content in (b"", b"no protocol buffer", whole[: len(whole) // 2], misnamed):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.onnx: (is no ONNX file|ONNX Runtime cannot load it)"):
            open_predictor(path)
    assert capfd.readouterr() == ("", ""), "ONNX Runtime writes nothing beside the sentence"
    write_onnx(path, small_for("foreground"))
    with pytest.raises(UserError, match=r"a\.onnx: does not say what it predicts, and is no u2netp or u2net or isnet"):
        open_predictor(path)
    path.write_bytes(whole.replace(b'["foreground"]', b'["foreground"['))
    with pytest.raises(UserError, match=r"a\.onnx: its description is damaged .*\. Export the network anew"):
        open_predictor(path)


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = write_described(tmp_path / "a.onnx", small_for("foreground", scale=float("nan")), "foreground")
    with pytest.raises(UserError, match=r"gives values that are no numbers"):
        open_predictor(path).mask(photo())


@pytest.mark.parametrize("classes", [1, 2])
def test_the_alpha_of_a_large_image_is_the_same_in_a_quarter_of_its_memory(classes: int) -> None:
    planes = np.random.default_rng(0).random((classes, 601, 703), np.float32)
    expected = np.floor(np.moveaxis(planes, 0, 2) * 255 + 0.5)
    assert np.array_equal(as_alpha(np.moveaxis(planes, 0, 2)), expected)
    alpha = shrunk_to_alpha(planes)
    assert np.array_equal(alpha, expected)
    assert planes.nbytes <= alpha.size + 3
    assert np.shares_memory(planes, alpha)
