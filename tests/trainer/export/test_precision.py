"""Files of half precision and of 8 bits predict nearly the same masks, are as small as promised, and say their loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import carpus
from models import MODELS
from runtime.predictor import open_predictor
from trainer.export.export import Request, export_network
from trainer.export.graph import onnx_of
from trainer.export.precision import LARGEST_SHARE, in_eight_bits, with_stored_halves
from trainer.export.proof import proof
from utils.errors import UserError

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture(scope="module")
def files(small: Path, small_networks: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    kinds = ("fp32", "fp16", "int8")
    return {kind: export_network(Request(small, folder / f"{kind}.onnx", precision=kind)) for kind in kinds}


@pytest.mark.parametrize(("kind", "share"), [("fp16", 0.52), ("int8", LARGEST_SHARE)])
def test_a_small_file_is_as_small_as_promised_and_cuts_out_nearly_the_same(
    kind: str, share: float, files: dict[str, Path], pill_set: Path
) -> None:
    path = files[kind]
    assert path.stat().st_size < share * files["fp32"].stat().st_size
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {one.type.tensor_type.elem_type for one in [*model.graph.input, *model.graph.output]} == {1}  # float32
    assert open_predictor(path).metadata.precision == kind
    photos = sorted((pill_set / "train" / "images").iterdir())
    models = (carpus.load(files["fp32"]), carpus.load(path))
    pairs = [[model.cutout(photo).alpha > 127 for model in models] for photo in photos]
    both, either = (sum(int(how(*pair).sum()) for pair in pairs) for how in (np.logical_and, np.logical_or))
    assert both > 0.95 * either > 0


def test_a_network_of_hands_in_eight_bits_keeps_its_promise_of_size(tmp_path: Path) -> None:
    # Of its weights 12 % are in the layers that are computed in float32, most of them depthwise.
    plain = tmp_path / "plain.onnx"
    network = MODELS["fpn"](29, 1, encoder="timm-tf_efficientnet_lite0").eval()
    plain.write_bytes(onnx_of(network, 1, (64, 64), any_size=True))
    images = np.random.default_rng(0).normal(size=(1, 1, 64, 64)).astype(np.float32)
    small = in_eight_bits(plain, iter([images]), 1, tmp_path)
    assert len(small) < LARGEST_SHARE * plain.stat().st_size


@pytest.mark.parametrize(("largest", "stored"), [(1.0, np.float16), (1e5, np.float32), (1e-8, np.float32)])
def test_weights_are_stored_in_half_if_that_holds_them(largest: float, stored: type) -> None:
    weights = np.linspace(-largest, largest, 18, dtype=np.float32).reshape(1, 2, 3, 3)
    shape = [1, 2, 5, 5]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "xy"]
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:], [onnx.numpy_helper.from_array(weights, "w")])
    (kept,) = with_stored_halves(onnx.helper.make_model(graph)).graph.initializer
    assert onnx.numpy_helper.to_array(kept).dtype == stored
    assert np.allclose(onnx.numpy_helper.to_array(kept), weights, atol=largest / 1000, rtol=0)


def test_the_card_says_what_is_lost(files: dict[str, Path]) -> None:
    card = files["int8"].with_suffix(".md").read_text()
    for part in (
        "ONNX, int8",
        "calibrated on 3 images that the run learnt from",
        "(may lose 0.01)",
        "% of fp32",
        "VNNI",
    ):
        assert part in card


def test_a_file_that_loses_too_much_is_refused(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(proof.BOUNDS, "fp16", replace(proof.BOUNDS["fp16"], agreement=1.1))
    with pytest.raises(UserError, match=r"a\.onnx: not written, because the file has masks .* Export it in fp32\."):
        export_network(Request(small, tmp_path / "a.onnx", precision="fp16"))
    assert list(tmp_path.iterdir()) == []


def test_images_to_calibrate_on_must_be_those_of_the_task(small: Path, tmp_path: Path) -> None:
    (tmp_path / "images" / "second").mkdir(parents=True)
    (tmp_path / "images" / "second" / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"a\.png"):
        export_network(Request(small, tmp_path / "a.onnx", precision="int8", calibrate=tmp_path / "images"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"--calibrate: .*empty"):
        export_network(Request(small, tmp_path / "a.onnx", precision="int8", calibrate=tmp_path / "empty"))
    assert not (tmp_path / "a.onnx").exists()
