from __future__ import annotations

import os
from pathlib import Path

import pytest

from utils.errors import UserError
from utils.journal import Journal

STAMPS = ("a 1", "b 2", "c 3")


def write(path: Path, *records: bytes, origin: str = "net", stamps: tuple[str, ...] = STAMPS) -> list[bytes]:
    """Append records to what is there; returns all."""
    with Journal(path, origin, stamps) as journal:
        for record in records:
            journal.append(record)
        return list(journal.records())


def test_records_are_taken_over_in_order(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    assert write(path, b"one\n", b"") == [b"one\n", b""]
    assert write(path, b"three 3 3") == [b"one\n", b"", b"three 3 3"]


def test_another_origin_starts_over_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.part"
    write(path, b"one")
    assert not caplog.text
    assert write(path, origin="net 2") == []
    assert "x.part: is of a call with other networks or settings, so it is begun anew" in caplog.text


def test_records_from_the_first_changed_item_on_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    write(path, b"one", b"two", b"three")
    assert write(path, stamps=("a 1", "b 9", "c 3")) == [b"one"]
    assert write(path) == [b"one"]


def test_a_file_cut_anywhere_gives_its_whole_records(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    write(path, b"one\n" * 3, b"two", b"three")
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        kept = write(path)
        assert kept == [b"one\n" * 3, b"two", b"three"][: len(kept)]
        assert (len(kept) == 3) == (length == len(whole))


def test_a_file_changed_anywhere_never_gives_a_changed_record(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    write(path, b"one\n" * 3, b"two", b"three")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        kept = write(path)
        assert kept == [b"one\n" * 3, b"two", b"three"][: len(kept)]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    with Journal(path, "net", STAMPS):
        child = os.fork()
        if child == 0:
            try:
                write(path)
            except UserError as error:
                os._exit(0 if "another process is writing this file" in str(error) else 1)
            os._exit(2)
        assert os.waitpid(child, 0)[1] == 0


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="could not be written"):
        write(tmp_path / "taken" / "x.part")


def test_no_record_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("precious")
    (tmp_path / "x.part").symlink_to("secret")
    with pytest.raises(UserError, match=r"x\.part is a link, which is not followed: delete it"):
        write(tmp_path / "x.part", b"one")
    assert (tmp_path / "secret").read_text() == "precious"
