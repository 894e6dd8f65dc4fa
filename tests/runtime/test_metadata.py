"""The description of an ONNX file survives the way into the file and back."""

from __future__ import annotations

import onnxruntime
import pytest

from runtime.model.metadata import Metadata, metadata_from
from tests.onnx_files import onnx_bytes
from tests.runtime.networks import small_for
from utils.onnx_file import layout_of, with_properties

WHOLE = Metadata(
    task="hand_bone",
    classes=("a", "뼈"),
    transform={"size_px": [64, 32], "mean": 0.1, "std": 0.2},
    predict={"threshold": 0.4, "refine": []},
    output="logits",
    thresholds={"a": 0.3, "뼈": 0.6},
    images={"brightness": 1.5},
    licence="CC BY 4.0",
    attributions=("the authors", "others"),
    run="mine",
    score={"dice": 0.95},
)


@pytest.mark.parametrize("about", [WHOLE, Metadata(task="foreground", classes=("foreground",))])
def test_a_description_is_read_as_it_was_written(about: Metadata) -> None:
    content = with_properties(onnx_bytes(small_for("foreground")), about.as_properties())
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert metadata_from(session.get_modelmeta().custom_metadata_map) == about


def test_files_of_others_have_no_description() -> None:
    assert metadata_from({}) is None
    assert metadata_from({"format": "another", "task": "x"}) is None


def test_a_file_of_a_newer_version_is_not_taken_for_one_of_others() -> None:
    with pytest.raises(ValueError, match=r"written by another version of Carpus \(carpus-onnx-2, this one reads"):
        metadata_from({**WHOLE.as_properties(), "format": "carpus-onnx-2"})


@pytest.mark.parametrize("damage", [{"classes": "["}, {"classes": "3"}, {"task": "[" * 100_000}])
def test_a_damaged_description_raises(damage: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="its description is damaged"):
        metadata_from({**WHOLE.as_properties(), **damage})


def test_the_layout_of_a_file_names_the_tensor_before_its_sigmoid() -> None:
    plain, ending = (layout_of(onnx_bytes(small_for("foreground", ends_in_sigmoid=each))) for each in (False, True))
    assert plain.logits is None
    assert ending.logits is not None
    assert plain.convolutions == ending.convolutions == (((8, 3, 5, 5), 1), ((1, 8, 1, 1), 1))
