from __future__ import annotations

from pathlib import Path

from models.hub import is_cached, place_of


def test_timms_and_smps_encoders_have_their_place_on_the_hub() -> None:
    assert place_of("tu-hrnet_w48", "imagenet") == ("timm/hrnet_w48.ms_in1k", None)
    place = place_of("resnet34", "imagenet")
    assert place is not None
    assert place[0] == "smp-hub/resnet34.imagenet"
    assert place_of("resnet34", "nobody") is None
    assert place_of("tu-nothing", "imagenet") is None


def test_weights_are_cached_where_their_file_lies(tmp_path: Path) -> None:
    assert not is_cached("tu-hrnet_w48", "imagenet", tmp_path)
    assert not is_cached("tu-nothing", "imagenet", tmp_path)
    repository = tmp_path / "models--timm--hrnet_w48.ms_in1k"
    for name, text in (("refs/main", "abc"), ("snapshots/abc/model.safetensors", "x")):
        (repository / name).parent.mkdir(parents=True)
        (repository / name).write_text(text)
    assert is_cached("tu-hrnet_w48", "imagenet", tmp_path)
