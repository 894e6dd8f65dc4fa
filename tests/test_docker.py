"""The files for containers: what they copy is there and is all that the server imports, and nobody runs as root."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.root import ROOT
from tests.test_layers import LAYER_OF, imports_of

DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
KNOWN = {"FROM", "WORKDIR", "COPY", "ARG", "RUN", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def instructions(path: Path) -> list[tuple[str, str]]:
    """Read a Dockerfile: each instruction and its arguments, with lines that go on joined."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split()[0], line.split(maxsplit=1)[1].strip()) for line in lines]


def of_kind(path: Path, kind: str) -> list[str]:
    return [arguments for name, arguments in instructions(path) if name == kind]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_instructions_are_known_and_shell_commands_are_whole(path: Path) -> None:
    assert {name for name, _ in instructions(path)} <= KNOWN
    assert instructions(path)[0][0] == "FROM"
    for command in of_kind(path, "RUN"):
        assert shlex.split(command), command


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_base_images_are_public_names_of_a_version(path: Path) -> None:
    for image in of_kind(path, "FROM"):
        assert re.fullmatch(r"python:3\.\d+-slim( AS \w+)?", image), image


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_nobody_runs_as_root_and_what_is_copied_is_there(path: Path) -> None:
    names = [name for name, _ in instructions(path)]
    assert of_kind(path, "USER") == ["carpus"]
    assert max(index for index, name in enumerate(names) if name in ("RUN", "COPY")) < names.index("USER")
    for arguments in of_kind(path, "COPY"):
        *sources, _ = (part for part in arguments.split() if not part.startswith("--"))
        if "--from" not in arguments:
            assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_server_has_a_health_check_and_all_that_it_imports() -> None:
    path = DOCKER / "serve.Dockerfile"
    assert "/health" in of_kind(path, "HEALTHCHECK")[0]
    copied = {source for arguments in of_kind(path, "COPY") for source in arguments.split()[:-1]} & LAYER_OF.keys()
    assert copied == needed_by("web")


def needed_by(package: str) -> set[str]:
    """Return the packages of ours that a package imports when it is loaded, and those that these import."""
    found, waiting = set[str](), {package}
    while waiting:
        name = waiting.pop()
        found.add(name)
        files = (ROOT / name).rglob("*.py")
        named = {module.split(".")[0] for file in files for module in imports_of(file)}
        waiting |= {other for other in named & LAYER_OF.keys() if other not in found | ONLY_FOR_OTHERS}
    return found


ONLY_FOR_OTHERS = {"loss", "models", "scheduler", "services", "trainer"}
"""What functions for training import when they are called."""


def test_compose_names_files_that_are_there_and_a_gpu_in_a_profile() -> None:
    services: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        build = service["build"]
        if "context" in build:
            assert (DOCKER / build["context"]).resolve() == ROOT
            assert (ROOT / build["dockerfile"]).is_file()
        assert service.get("profiles") == (None if name == "serve" else ["gpu"])
        assert ("deploy" in service) == (name != "serve")


def test_secrets_data_and_runs_are_not_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", ".git", ".venv", "datasets", "runs", "weights"} <= set(ignored)
