"""Settings, models and ports: what is wrong is one sentence, and what is chosen otherwise than asked for is said."""

from __future__ import annotations

import os
import re
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.model.network import CPU
from tests.root import ROOT
from utils.config.section import Section
from utils.errors import UserError
from web.engine.models import load_models
from web.engine.providers import CUDA, TENSORRT, Choice, check_used, choose
from web.server import open_port
from web.settings import Limits, Serve, load_settings

CPU_CHOICE = Choice((CPU,))


def test_the_shipped_file_holds_every_key_with_its_default() -> None:
    shipped = ROOT / "configs" / "serve.yaml"
    assert load_settings(shipped) == Serve()
    assert set(keys_of(yaml.safe_load(shipped.read_text()))) == set(leaves(Serve))


@pytest.mark.parametrize("page", ["serve.md", "serve.ko.md"])
def test_every_key_is_documented(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert [key for key in leaves(Serve) if f"`{key}`" not in text] == []


def leaves(schema: type[Section], before: str = "") -> list[str]:
    """Return the dotted keys of a schema."""
    found = []
    for name in schema.model_fields:
        found += leaves(Limits, f"{name}.") if name == "limits" else [f"{before}{name}"]
    return found


def keys_of(values: dict[str, Any], before: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        found += keys_of(value, f"{before}{key}.") if isinstance(value, dict) else [f"{before}{key}"]
    return found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ports: 1", "serve.yaml:1: ports: unknown key. Did you mean 'port'?"),
        ("limits: {file_mb: -1}", "serve.yaml:1: limits.file_mb: expected a number above 0"),
        ("provider: cudaa", "expected auto, cpu, cuda or tensorrt"),
        ("queue: [", "not YAML"),
    ],
)
def test_settings_that_cannot_be_are_named_with_their_lines(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "serve.yaml").write_text(text)
    with pytest.raises(UserError, match=re.escape(words)):
        load_settings(tmp_path / "serve.yaml")


def test_models_are_known_by_the_stems_of_their_files_which_must_differ(models: list[str], tmp_path: Path) -> None:
    loaded = load_models(models, CPU_CHOICE, threads=1)
    assert list(loaded) == ["cut", "bones"]
    (tmp_path / "cut.onnx").write_bytes(Path(models[0]).read_bytes())
    with pytest.raises(UserError, match="have the same name 'cut'"):
        load_models([models[0], tmp_path / "cut.onnx"], CPU_CHOICE, threads=1)


@pytest.mark.parametrize("content", [None, b"", b"not onnx", b"\x08\x07" * 50])
def test_a_file_that_is_no_model_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.onnx"):
        load_models([tmp_path / "a.onnx"], CPU_CHOICE, threads=1)


def test_what_is_known_of_a_model_is_computed_from_its_file(models: list[str]) -> None:
    info = load_models(models, CPU_CHOICE, threads=1)["cut"].info()
    weights = 8 * 3 * 5 * 5 + 8 + 8 + 1
    assert (info["parameters"], info["size_bytes"]) == (weights, os.stat(models[0])[stat.ST_SIZE])
    assert info["input"] == {"channels": 3, "size_hw": (64, 64), "batch": 1}
    assert (info["licence"], info["attributions"], info["provider"]) == ("MIT", ["A"], "cpu")


@pytest.mark.parametrize(("wanted", "name"), [("cuda", CUDA), ("tensorrt", TENSORRT)])
def test_a_provider_that_is_there_is_asked_first(wanted: Any, name: str) -> None:
    chosen = choose(wanted, strict=True, available=[name, CPU])
    first = chosen.providers[0]
    assert (first if isinstance(first, str) else first[0], chosen.providers[-1], chosen.warning, chosen.on_gpu) == (
        name,
        CPU,
        None,
        True,
    )
    assert check_used(chosen, wanted, name, strict=True) is None


@pytest.mark.parametrize("wanted", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there_is_said_or_refused(wanted: Any) -> None:
    chosen = choose(wanted, strict=False, available=[CPU])
    assert (chosen.providers, chosen.on_gpu) == ((CPU,), False)
    assert f"provider '{wanted}' is not in this ONNX Runtime" in str(chosen.warning)
    with pytest.raises(UserError, match="strict_provider is set"):
        choose(wanted, strict=True, available=[CPU])


def test_a_provider_that_does_not_start_is_said_or_refused_too() -> None:
    chosen = choose("cuda", strict=True, available=[CUDA, CPU])
    assert "did not start" in str(check_used(chosen, "cuda", CPU, strict=False))
    with pytest.raises(UserError, match="did not start"):
        check_used(chosen, "cuda", CPU, strict=True)


def test_a_missing_gpu_is_said_by_health_and_model_info(models: list[str]) -> None:
    from tests.web.conftest import client_of

    with client_of(models[:1], provider="tensorrt") as client:
        (warning,) = client.get("/health").json()["warnings"]
        assert "tensorrt" in warning
        (info,) = client.get("/model-info").json()["models"]
        assert (info["warning"], info["provider"]) == (warning, "cpu")


@pytest.mark.parametrize("path", ["/health", "/metrics", "/model-info"])
def test_a_parameter_that_an_endpoint_does_not_have_is_refused(path: str, models: list[str]) -> None:
    from tests.web.conftest import client_of

    with client_of(models[:1]) as client:
        assert client.get(path).status_code == 200
        answer = client.get(path, params={"modle": "cut"})
        assert (answer.status_code, answer.json()["error"][:24]) == (422, "'modle' is no parameter.")
        assert client.get("/model-info", params={"model": "cut"}).status_code == 200


def test_a_port_in_use_and_a_host_that_is_none_are_sentences() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port}: is in use by another program. Name another with --port"):
            open_port("127.0.0.1", port)
    with pytest.raises(UserError, match="no address of this machine"):
        open_port("192.0.2.1", 0)
    with pytest.raises(UserError, match="is no address"):
        open_port("no..host", 0)
