from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from accelerate import Accelerator

from configs.schema import Config
from tests.contest import write_split
from trainer.build import build_loader
from trainer.split import find_split, sampling_weights
from utils.errors import UserError

MakeConfig = Callable[..., Config]


@pytest.fixture
def extra(tmp_path: Path) -> Path:
    """A further root: a patient of the training root's own (ID003) and three others."""
    write_split(tmp_path / "extra" / "train", patients=1, first=3, seed=3)
    write_split(tmp_path / "extra" / "train", patients=3, first=40, seed=3)
    return tmp_path / "extra"


def with_roots(make_config: MakeConfig, *roots: tuple[Path, float], **data: object) -> Config:
    return make_config(data={"extra_roots": [{"root": str(root), "weight": weight} for root, weight in roots], **data})


def test_extra_images_are_trained_on_and_never_held_out(make_config: MakeConfig, extra: Path) -> None:
    for fold in range(3):
        plain = find_split(make_config(fold=fold))
        split = find_split(with_roots(make_config, (extra, 0.5)).model_copy(update={"fold": fold}))
        assert split.valid == plain.valid
        assert split.train[: len(plain.train)] == plain.train
        assert {sample.group for sample in split.train[len(plain.train) :]} == {"ID040", "ID041", "ID042"}


def test_labels_of_held_out_patients_and_of_labelled_images_are_left_out(
    make_config: MakeConfig, extra: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    told = set()
    for fold in range(3):
        caplog.clear()
        split = find_split(with_roots(make_config, (extra, 1.0), (extra, 1.0)).model_copy(update={"fold": fold}))
        held_out = {sample.group for sample in split.valid}
        assert not held_out & {sample.group for sample in split.train}
        names = [sample.name for sample in split.train]
        assert len(set(names)) == len(names)
        first, second = (record.getMessage() for record in caplog.records if "extra_roots" in record.message)
        told.add(first.split("left out: ")[1])
        assert "0 images to train on" in second
    assert told == {"2 of held-out patients, 0 labelled already", "0 of held-out patients, 2 labelled already"}


def test_weights_follow_the_root(make_config: MakeConfig, extra: Path) -> None:
    config = with_roots(make_config, (extra, 0.25))
    train = find_split(config).train
    weights = sampling_weights(config, train)
    assert weights == [0.25 if extra in sample.image.parents else 1.0 for sample in train]
    assert sampling_weights(with_roots(make_config, (extra, 1.0)), train) is None


def test_extra_images_are_drawn_as_often_as_they_weigh(make_config: MakeConfig, extra: Path) -> None:
    config = with_roots(make_config, (extra, 0.25))
    train = find_split(config).train
    sampler = build_loader(config, train, Accelerator(cpu=True)).sampler
    drawn = []
    for epoch in range(200):
        sampler.set_epoch(epoch)
        drawn += [extra in train[index % len(train)].image.parents for index in sampler.indices().tolist()]
    own, others = 8, 6
    assert sum(drawn) / len(drawn) == pytest.approx(0.25 * others / (own + 0.25 * others), abs=0.03)


def test_a_root_that_is_not_there_is_reported(make_config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing/train/DCM: no such folder"):
        find_split(with_roots(make_config, (tmp_path / "nothing", 1.0)))
