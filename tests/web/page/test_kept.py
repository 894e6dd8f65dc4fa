"""What the page keeps is bounded, and known by keys that nobody can guess."""

from __future__ import annotations

from pathlib import Path

from web.page.files import PageFiles, free_of, safe_stem
from web.page.kept import Kept


def test_beyond_the_budget_the_least_recently_used_goes() -> None:
    kept: Kept[str] = Kept(100)
    first, second = kept.keep("first", 40), kept.keep("second", 40)
    assert kept.of(first) == "first"
    third = kept.keep("third", 40)
    assert [kept.of(key) for key in (first, second, third)] == ["first", None, "third"]


def test_a_session_keeps_one_picture() -> None:
    kept: Kept[str] = Kept(1000)
    first = kept.keep("first", 40)
    second = kept.keep("second", 40, instead_of=first)
    assert (kept.of(first), kept.of(second)) == (None, "second")
    kept.forget(second)
    kept.forget(second)
    assert kept.of(second) is None
    assert kept.of(None) is None


def test_one_that_is_larger_than_the_budget_is_kept_alone() -> None:
    kept: Kept[str] = Kept(100)
    small = kept.keep("small", 10)
    large = kept.keep("large", 1000)
    assert (kept.of(small), kept.of(large)) == (None, "large")


def test_temporary_files_are_bounded_and_those_of_the_page_stay(tmp_path: Path) -> None:
    files = PageFiles(tmp_path, 100)
    own = Path(files.write("example.png", b"x" * 90))
    files.keep_present()
    first, second = Path(files.write("a.png", b"x" * 60)), Path(files.write("b.png", b"x" * 60))
    assert [path.exists() for path in (own, first, second)] == [True, False, True]
    assert first.parent != second.parent


def test_names_of_clients_become_names_without_a_folder() -> None:
    assert safe_stem("../../etc/passwd") == "passwd"
    assert safe_stem("..") == "_"
    assert safe_stem("손 사진 1.jpg") == "손_사진_1"
    assert safe_stem("a\\b:c.png") == "a_b_c"
    assert free_of(["a.png", "a-2.png"], "a", ".png") == "a-3.png"
    assert free_of([], "a", ".png") == "a.png"
