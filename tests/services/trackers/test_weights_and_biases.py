"""Weights & Biases without a network: what its offline files hold, also after a resume, and no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.trackers import TRACKERS
from tests.services.channels import epoch, facts, finished, started
from tests.standin import until
from utils.errors import UserError
from utils.events import Event

pytest.importorskip("wandb")
SECRET = "user:" + "pass" * 4
HEADER, PIECE, BLOCK = 7, 7, 1 << 15
"""Bytes of the file's header, of that of a piece of a record, and of a block."""
CONFIG = {"model": {"name": "unet"}, "data": {"root": f"https://{SECRET}@host/x", "exclude": ["ID1"]}}


def records(file: Path) -> Iterator[Any]:
    """The records of an offline file, which is a log in the format of LevelDB after a header."""
    from wandb.proto import wandb_internal_pb2

    make_record: Any = vars(wandb_internal_pb2)["Record"]
    content, place, parts = file.read_bytes(), HEADER, b""
    while place + PIECE < len(content):
        left = BLOCK - place % BLOCK
        if left < PIECE:  # the rest of a block is empty
            place += left
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        if place + PIECE + length > len(content):  # still being written
            return
        parts += content[place + PIECE : place + PIECE + length]
        place += PIECE + length
        if kind in (1, 4):  # a whole record, or its last piece
            record = make_record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def history(folder: Path) -> list[dict[str, Any]]:
    """The points of all sessions of a run, in order."""
    found = []
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        for record in records(file):
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                found.append({".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items})
    return found


def test_a_resumed_run_goes_on_without_double_points_and_without_secrets(tmp_path: Path) -> None:
    """The first session is killed after an epoch whose state was not saved, and while it wrote a line."""
    first: Any = TRACKERS["wandb"](facts(tmp_path, config=CONFIG), mode="offline")
    first(started(tmp_path))
    for number in range(2):
        first(epoch(number, score=0.25 * (number + 1)))
    first.run.finish()
    with (tmp_path / "wandb" / "points.jsonl").open("a") as file:
        file.write('[3, {"dice"')
    again = TRACKERS["wandb"](facts(tmp_path, config=CONFIG), mode="offline")
    events: list[Event] = [epoch(1, score=0.75), epoch(2, score=0.5), finished(tmp_path)]
    again(replace(started(tmp_path), first_epoch=1))
    for event in events:
        again(event)
    until(lambda: len(history(tmp_path)) >= 3)  # W&B writes the last ones after it has ended the run
    points = history(tmp_path)
    assert [(point["_step"], point["dice"]) for point in points] == [(1, 0.25), (2, 0.75), (3, 0.5)]
    assert points[0]["train/loss"] == 0.3
    (content,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert content.stem == "run-abc123"
    runs = [record.run for record in records(content) if record.WhichOneof("record_type") == "run"]
    assert [run.display_name for run in runs] == ["mine"]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"https://***@host/x" in written
    assert SECRET.encode() not in written


def test_without_a_key_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("services.trackers.weights_and_biases.Secrets", dict)
    with pytest.raises(UserError, match=r"WANDB_API_KEY is not set\. Put it into \.env .* or write mode: offline"):
        TRACKERS["wandb"](facts(tmp_path))
