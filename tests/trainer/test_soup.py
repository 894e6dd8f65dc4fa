"""Soups: the mean of the weights, statistics of its own, no worse than the best where it is greedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from configs.loading.load import as_dict
from configs.schema import Config
from data.hand_bone.classes import BONES
from trainer.build import build_model
from trainer.records.checkpoint import Weights, load_weights, save_weights
from trainer.records.folder import RunFolder
from trainer.soup.soup import make_soup
from trainer.trained import load_trained
from utils.errors import UserError

Make = Callable[..., Config]


@pytest.fixture
def files(make_config: Make, tmp_path: Path) -> list[Path]:
    """Three untrained networks near one another, the config of the second with another data.workers."""
    base = build_model(make_config()).state_dict()
    paths = []
    for index in range(3):
        torch.manual_seed(index)
        config = make_config(data={"workers": index})
        tensors = {
            name: tensor + 0.02 * torch.randn_like(tensor).abs() if tensor.is_floating_point() else tensor + index
            for name, tensor in base.items()
        }
        paths.append(tmp_path / f"{index}.safetensors")
        save_weights(paths[-1], Weights(tensors, BONES, as_dict(config), index, 0.1 * index))
    return paths


def test_a_soup_is_the_mean_with_statistics_of_its_own(files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "made" / "soup.safetensors"
    score = make_soup(files, output, greedy=False)
    soup, parts = load_weights(output), [load_weights(path) for path in files]
    assert soup.score == score
    for name, tensor in soup.tensors.items():
        mean = torch.stack([part.tensors[name].double() for part in parts]).mean(0)
        if "running" in name:
            assert not torch.allclose(tensor.double(), mean, atol=1e-3), name
        elif "num_batches_tracked" in name:
            assert tensor == 4, "the batches of an epoch"
        else:
            assert torch.allclose(tensor.double(), mean, atol=1e-6), name
    assert load_trained(output, torch.device("cpu")).weights.epoch == 0


def test_a_runs_folder_stands_for_its_best_weights(files: list[Path], tmp_path: Path) -> None:
    best = RunFolder(tmp_path / "run").best_weights
    best.parent.mkdir(parents=True)
    best.write_bytes(files[1].read_bytes())
    make_soup([files[0], tmp_path / "run"], tmp_path / "with_run", greedy=False)
    make_soup(files[:2], tmp_path / "with_file", greedy=False)
    a, b = (load_weights(tmp_path / name).tensors for name in ("with_run", "with_file"))
    assert all(torch.equal(a[name], b[name]) for name in b)


def test_a_greedy_soup_is_no_worse_than_the_best_of_its_parts(
    files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    output = tmp_path / "soup.safetensors"
    score = make_soup(files, output, greedy=True)
    origin, *told = [record.getMessage() for record in caplog.records if record.name == "trainer.soup.soup"]
    assert origin.startswith("reading images from ")
    assert told[0].endswith(", taken")
    alone = [float(line.split("Dice ")[1].split()[0].rstrip(",")) for line in told[:3]]
    assert alone == sorted(alone, reverse=True)
    assert score >= alone[0] - 5e-5
    assert load_weights(output).score == score


def test_files_that_do_not_fit_are_one_sentence(
    files: list[Path], make_config: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "soup.safetensors"
    other = build_model(make_config(model={"name": "fpn", "decoder": None})).state_dict()
    save_weights(
        tmp_path / "fpn", Weights(other, BONES, as_dict(make_config(model={"name": "fpn", "decoder": None})), 0, 0.0)
    )
    with pytest.raises(UserError, match=r"fpn: holds another network than .*0\.safetensors \(only one of them has"):
        make_soup([files[0], tmp_path / "fpn"], output, greedy=False)
    whole = load_weights(files[1])
    wider = {name: tensor.repeat(2) if tensor.dim() == 1 else tensor for name, tensor in whole.tensors.items()}
    save_weights(tmp_path / "wide", replace(whole, tensors=wider))
    with pytest.raises(UserError, match=r"holds another network .* is \(\d+,\), not \(\d+,\)\)"):
        make_soup([files[0], tmp_path / "wide"], output, greedy=False)
    save_weights(tmp_path / "classes", replace(whole, classes=BONES[::-1]))
    with pytest.raises(UserError, match="was trained for other classes"):
        make_soup([files[0], tmp_path / "classes"], output, greedy=False)
    with pytest.raises(UserError, match="one file is no average"):
        make_soup(files[:1], output, greedy=False)
    with pytest.raises(UserError, match=r"runs: no run here\. Name a run's folder or a \.safetensors file"):
        make_soup([files[0], tmp_path / "runs"], output, greedy=False)
    with pytest.raises(UserError, match="would be overwritten"):
        make_soup(files, files[1], greedy=False)
    assert not output.exists()


def test_weights_that_saw_other_images_are_warned_of(
    files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = load_weights(files[1])
    save_weights(files[1], replace(whole, config={**whole.config, "fold": 1}))
    make_soup(files[:2], tmp_path / "soup.safetensors", greedy=False)
    assert "1.safetensors: was trained on other images than" in caplog.text
