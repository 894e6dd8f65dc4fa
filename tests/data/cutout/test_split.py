from __future__ import annotations

import os
from pathlib import Path

import pytest

from data.cutout.layout import find_samples
from data.cutout.pairs import folders_in, pair_folders
from data.cutout.split import LIST, WRITERS, split
from utils.errors import UserError


def write(path: Path, content: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(path) if content is None else content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twenty pairs, some in a sub-folder, with suffixes in both cases."""
    for number in range(20):
        name = f"{'sub/' if number % 3 == 0 else ''}picture{number:02}"
        write(tmp_path / "images" / f"{name}.{['jpg', 'JPG', 'png'][number % 3]}")
        write(tmp_path / "masks" / f"{name}.png")
    return tmp_path


def stems_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.*")}


def sides_of(out: Path) -> tuple[set[str], set[str]]:
    return stems_in(out / "train" / "images"), stems_in(out / "test" / "images")


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_a_split_is_complete_and_disjoint_and_of_the_ratio(mode: str, root: Path) -> None:
    split(root / "images", root / "masks", root / "out", ratio=0.7, seed=1, mode=mode)
    train, test = sides_of(root / "out")
    assert (len(train), len(test)) == (14, 6)
    assert train | test == stems_in(root / "images")
    assert not train & test
    for side in ("train", "test"):
        assert stems_in(root / "out" / side / "images") == stems_in(root / "out" / side / "masks")
        for path in (root / "out" / side).rglob("*.*"):
            assert path.read_text().endswith(path.relative_to(root / "out" / side).as_posix())
            assert path.is_symlink() == (mode == "link")
    assert {path.name for path in (root / "out").iterdir()} == {"train", "test"}


def test_the_seed_decides_and_nothing_else(root: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        split(root / "images", root / "masks", root / name, seed=seed)
    assert sides_of(root / "a") == sides_of(root / "b") != sides_of(root / "c")


def test_a_list_names_the_files_where_they_are(root: Path) -> None:
    split(root / "images", root / "masks", root / "out", mode="list")
    lines = [
        line.split("\t") for side in ("train", "test") for line in (root / "out" / side / LIST).read_text().splitlines()
    ]
    assert len(lines) == 20
    assert all(Path(path).is_absolute() and Path(path).is_file() for line in lines for path in line[:2])
    assert {line[2] for line in lines} == stems_in(root / "images")
    assert WRITERS.keys() == {"copy", "link", "list"}


def test_a_list_keeps_images_of_one_name_in_two_folders_apart(tmp_path: Path) -> None:
    for name in ("x/1", "y/1", "2", "3"):
        write(tmp_path / "images" / f"{name}.jpg")
        write(tmp_path / "masks" / f"{name}.png")
    split(tmp_path / "images", tmp_path / "masks", tmp_path / "out", mode="list")
    names = [
        sample.name for side in ("train", "test") for sample in find_samples(tmp_path / "out" / side, labelled=True)
    ]
    assert sorted(names) == ["2", "3", "x__1", "y__1"]
    write(tmp_path / "images" / "4\t5.jpg")
    write(tmp_path / "masks" / "4\t5.png")
    with pytest.raises(UserError, match="a tab or a line break in a name"):
        split(tmp_path / "images", tmp_path / "masks", tmp_path / "again", mode="list")
    assert list((tmp_path / "again").iterdir()) == []


def test_equal_images_stay_on_one_side(root: Path) -> None:
    for number in range(10):
        write(root / "images" / f"twin{number}.jpg", "the same")
        write(root / "masks" / f"twin{number}.png")
    for seed in range(5):
        split(root / "images", root / "masks", root / f"out{seed}", seed=seed)
        train, test = sides_of(root / f"out{seed}")
        assert len({name for name in train if name.startswith("twin")}) in (0, 10)
        assert len(train) + len(test) == 30


def test_what_has_no_partner_is_named(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(root / "images" / "alone.jpg")
    write(root / "masks" / "lonely.png")
    split(root / "images", root / "masks", root / "out")
    assert "1 image without mask, not used: alone" in caplog.text
    assert "1 mask without image, not used: lonely" in caplog.text


@pytest.mark.parametrize(
    ("options", "words"),
    [({"ratio": 0.0}, "--ratio 0: expected the share"), ({"ratio": 1.5}, "--ratio 1.5: expected the share")],
)
def test_a_ratio_must_leave_something_on_both_sides(options: dict[str, float], words: str, root: Path) -> None:
    with pytest.raises(UserError, match=words):
        split(root / "images", root / "masks", root / "out", **options)  # type: ignore[arg-type]
    split(root / "images", root / "masks", root / "out", ratio=0.001)
    assert len(sides_of(root / "out")[0]) == 1


def test_folders_that_do_not_fit_are_one_sentence(root: Path) -> None:
    with pytest.raises(UserError, match=r"--images .*none: no such folder"):
        split(root / "none", root / "masks", root / "out")
    with pytest.raises(UserError, match="no image has a mask in"):
        split(root / "images", root / "images" / "sub", root / "out")
    write(root / "images" / "picture01.png")
    with pytest.raises(UserError, match=r"picture01\.JPG and .*picture01\.png have one name but for the suffix"):
        split(root / "images", root / "masks", root / "out")
    (root / "images" / "picture01.png").unlink()
    split(root / "images", root / "masks", root / "out")
    with pytest.raises(UserError, match="holds train already"):
        split(root / "images", root / "masks", root / "out")


def test_a_disk_that_refuses_leaves_no_half_of_a_split(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Path.symlink_to

    def refuse(self: Path, target: Path) -> None:
        """Let the training images pass, so that the disk is full in the middle."""
        if "test" in self.parts:
            raise OSError(28, os.strerror(28))
        link(self, target)

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(UserError, match=r"could not be written \(No space left on device\)"):
        split(root / "images", root / "masks", root / "out", mode="link")
    assert list((root / "out").iterdir()) == []


@pytest.mark.parametrize(
    "names", [("images", "masks"), ("DUTS-TR-Image", "DUTS-TR-Mask"), ("im", "gt"), ("imgs", "gt")]
)
def test_folders_of_public_data_sets_are_known(names: tuple[str, str], tmp_path: Path) -> None:
    assert folders_in(tmp_path) is None
    for name in names:
        write(tmp_path / name / "a.png")
    found = folders_in(tmp_path)
    assert found == (tmp_path / names[0], tmp_path / names[1])
    assert [pair.name for pair in pair_folders(*found).pairs] == ["a"]


def test_a_list_names_the_images_to_test_with(root: Path) -> None:
    (root / "test.txt").write_text("picture01.JPG\n\nsub/picture03\n", encoding="utf-8-sig")
    split(root / "images", root / "masks", root / "out", test_list=root / "test.txt")
    train, test = sides_of(root / "out")
    assert test == {"picture01", "sub/picture03"}
    assert train == stems_in(root / "images") - test


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["picture01", "picture99"], "1 name is of no image with a mask: picture99"),
        ([], "names 0 of 20 images"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(lines: list[str], words: str, root: Path) -> None:
    (root / "test.txt").write_text("\n".join(lines))
    with pytest.raises(UserError, match=words):
        split(root / "images", root / "masks", root / "out", test_list=root / "test.txt")


def test_masks_may_have_longer_names_than_their_images(root: Path) -> None:
    for path in (root / "masks").rglob("*.png"):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    with pytest.raises(UserError, match=r"--mask-suffix=_mask"):
        split(root / "images", root / "masks", root / "out")
    split(root / "images", root / "masks", root / "out", mask_suffix="_mask")
    assert stems_in(root / "out" / "train" / "images") == stems_in(root / "out" / "train" / "masks")


@pytest.mark.parametrize(
    ("masks", "out", "words"),
    [("images", "out", "is the folder of images"), ("masks", "images/out", "lies in --images")],
)
def test_folders_that_overlap_are_refused(masks: str, out: str, words: str, root: Path) -> None:
    with pytest.raises(UserError, match=words):
        split(root / "images", root / masks, root / out)
