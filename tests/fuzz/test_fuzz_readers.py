"""Whatever bytes a file holds, its reader returns a valid result or raises `UserError`: nothing else ever comes out."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.loading.load import load
from configs.loading.nodes import Problem
from configs.loading.yaml_reader import read_text
from data.masks.rle import area, decode, dice, end_of, from_text, to_text
from tests.fuzz.mutations import mutated
from tests.fuzz.readers import READERS, Reader, search
from tests.root import RECIPES
from utils.errors import UserError

FUZZ = settings.get_profile("fuzz")
SEARCHED_LESS = settings(FUZZ, max_examples=max(1, FUZZ.max_examples // 4))

ARGUMENTS = [b"trainer.epochs=3", b"transform.train[1].p=0.5", b"loss={name: dice, smooth: 1}", b"fold=1"]


def refused_or(read: Callable[[], Any]) -> Any:
    """What was read, or None where the reader refused it in one sentence."""
    try:
        return read()
    except UserError as error:
        told = str(error)
    assert told.strip()
    told.encode()  # No halves of characters, which no log file could hold.
    return None


@FUZZ
@given(mutated([b"", b"1 1", b"1 3 7 2 100 5", b"  1  2 ", b"1099511627775 1099511627775"]))
def test_rle_text_becomes_runs_or_a_value_error(text: bytes) -> None:
    try:
        runs = from_text(text)
    except ValueError:
        return
    assert runs.shape == (len(runs), 2)
    assert (runs[:, 0] >= 0).all()
    assert (runs[:, 1] >= 1).all()
    assert (runs[1:, 0] >= runs[:-1].sum(axis=1)).all()
    assert from_text(to_text(runs)).tolist() == runs.tolist()
    assert dice(runs, runs) == 1.0
    if end_of(runs) <= 4096:
        assert np.unpackbits(decode([runs], (64, 64))).sum() == area(runs)


@FUZZ
@given(mutated([path.read_bytes() for path in RECIPES] + [b"a: &x {b: [1, two]}\nc: *x\n"]))
def test_yaml_is_read_or_its_problems_are_reported(content: bytes) -> None:
    problems: list[Problem] = []
    node = read_text(content.decode(errors="replace"), "a.yaml", problems)
    assert node is not None or problems
    if node is not None:
        node.plain()


@SEARCHED_LESS
@given(st.lists(mutated(ARGUMENTS), max_size=3))
def test_arguments_are_taken_or_refused(overrides: list[bytes]) -> None:
    arguments = [os.fsdecode(override) for override in overrides]
    refused_or(lambda: load(RECIPES[-1], arguments))


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_broken_files_are_read_or_refused_in_a_sentence(reader: Reader, tmp_path: Path) -> None:
    """The short form of `python -m tests.fuzz`."""
    count = search(reader, 10 if reader.name == "config" else 150, 0, tmp_path)
    assert count.failures == []
    assert count.refused > count.read / 10


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_whole_files_are_read(reader: Reader, tmp_path: Path) -> None:
    """Else a search would try refusals alone."""
    path, wholes, read = tmp_path / reader.file_name, reader.wholes(), 0
    for content in wholes:
        path.write_bytes(content)
        with suppress(UserError):
            reader.read(path)
            read += 1
    assert read > len(wholes) / 3
