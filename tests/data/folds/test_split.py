from __future__ import annotations

import math
import random
import shutil
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.folds.__main__ import main
from data.folds.files import fold_numbers, read_rows, split_by_file
from data.folds.split import folds_by_strata, folds_of_groups, split_by_group
from data.hand_bone.task import hand_bone
from data.sample import Sample
from data.task import Strata
from utils.errors import UserError

assert hand_bone.strata is not None
WRISTS: Strata = hand_bone.strata


def samples_of(counts: list[int]) -> list[Sample]:
    """As many images of each patient as `counts` says."""
    return [
        Sample(f"image{patient}_{image}.png", f"ID{patient:03d}", Path("x"))
        for patient, count in enumerate(counts)
        for image in range(count)
    ]


def group_k_fold(samples: list[Sample], folds: int) -> list[tuple[list[Sample], list[Sample]]]:
    """scikit-learn's (training, validation) samples of each fold."""
    from sklearn.model_selection import GroupKFold

    splits = GroupKFold(folds).split(samples, groups=[sample.group for sample in samples])
    return [([samples[i] for i in train], [samples[i] for i in valid]) for train, valid in splits]


def folds_by_hand(patient_of_images: list[str], folds: int, seed: int | None) -> dict[str, int]:
    """The rule, written out: the division of every release, on which runs and files of folds depend."""
    images = Counter(patient_of_images)
    if seed is not None:
        shuffled = np.random.RandomState(seed).permutation(sorted(images))
        return {str(patient): fold for fold, part in enumerate(np.array_split(shuffled, folds)) for patient in part}
    filled, fold_of = [0] * folds, {}
    for patient in sorted(images, key=lambda patient: (images[patient], patient), reverse=True):
        fold_of[patient] = filled.index(min(filled))
        filled[fold_of[patient]] += images[patient]
    return fold_of


@given(
    st.lists(st.integers(1, 4) | st.integers(1, 60), min_size=5, max_size=60),
    st.integers(2, 5),
    st.none() | st.integers(0, 2**32 - 1),
    st.randoms(),
)
def test_the_folds_are_those_of_the_rule_written_out(
    counts: list[int], folds: int, seed: int | None, order: random.Random
) -> None:
    patients = [sample.group for sample in samples_of(counts)]
    order.shuffle(patients)
    assert folds_of_groups(patients, folds, seed) == folds_by_hand(patients, folds, seed)


@pytest.mark.parametrize(
    ("counts", "folds", "seed", "expected"),
    [
        ([2] * 23, 5, None, "21043210432104321043210"),
        ([2] * 23, 5, 0, "41242223130041041233001"),
        ([1, 4, 2, 2, 3, 1, 2, 2, 2, 1, 3, 2], 3, None, "000222102111"),
        ([1, 4, 2, 2, 3, 1, 2, 2, 2, 1, 3, 2], 3, 7, "110220201201"),
        ([2] * 400, 5, None, "43210" * 80),
        ([2] * 400, 8, None, "76543210" * 50),
    ],
)
def test_patients_stay_in_the_folds_that_they_have_always_been_in(
    counts: list[int], folds: int, seed: int | None, expected: str
) -> None:
    fold_of = folds_of_groups([sample.group for sample in samples_of(counts)], folds, seed)
    assert "".join(str(fold_of[patient]) for patient in sorted(fold_of)) == expected


@pytest.mark.parametrize(
    ("counts", "folds", "seed", "checksum"),
    [
        ([2] * 400, 5, 0, 613043505),
        ([2] * 400, 5, 2**32 - 1, 1280149535),
        ([1, 3, 2] * 40, 7, None, 4216422810),
        ([1, 3, 2] * 40, 7, 1, 563333730),
    ],
)
def test_many_patients_stay_in_the_folds_that_they_have_always_been_in(
    counts: list[int], folds: int, seed: int | None, checksum: int
) -> None:
    fold_of = folds_of_groups([sample.group for sample in samples_of(counts)], folds, seed)
    assert zlib.crc32("".join(str(fold_of[patient]) for patient in sorted(fold_of)).encode()) == checksum


@given(st.lists(st.integers(1, 60), min_size=5, max_size=12, unique=True), st.integers(2, 5))
def test_without_ties_the_folds_are_those_of_group_k_fold(counts: list[int], folds: int) -> None:
    samples = samples_of(counts)
    for fold, expected in enumerate(group_k_fold(samples, folds)):
        assert split_by_group(samples, folds, fold) == expected


@given(st.lists(st.integers(1, 4), min_size=5, max_size=40), st.integers(2, 5))
def test_with_ties_the_folds_are_those_of_group_k_fold(counts: list[int], folds: int) -> None:
    samples = samples_of(counts)
    for fold, expected in enumerate(group_k_fold(samples, folds)):
        assert split_by_group(samples, folds, fold) == expected


@given(st.lists(st.integers(1, 3), min_size=5, max_size=30), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_a_seed_shuffles_patients_as_group_k_fold_does(counts: list[int], folds: int, seed: int) -> None:
    from sklearn.model_selection import GroupKFold

    patients = [sample.group for sample in samples_of(counts)]
    fold_of = folds_of_groups(patients, folds, seed)
    splits = GroupKFold(folds, shuffle=True, random_state=seed).split(patients, groups=patients)
    for fold, (_, valid) in enumerate(splits):
        assert {patients[place] for place in valid} == {patient for patient in fold_of if fold_of[patient] == fold}


@given(st.lists(st.integers(1, 4), min_size=5, max_size=40), st.integers(2, 5))
def test_with_ties_the_folds_are_as_large_as_those_of_group_k_fold(counts: list[int], folds: int) -> None:
    samples = samples_of(counts)
    for fold, (_, valid) in enumerate(group_k_fold(samples, folds)):
        assert len(split_by_group(samples, folds, fold)[1]) == len(valid)


def test_ties_go_to_the_later_patient_and_the_lower_fold() -> None:
    held_out = [{sample.group for sample in split_by_group(samples_of([2] * 5), 2, fold)[1]} for fold in range(2)]
    assert held_out == [{"ID004", "ID002", "ID000"}, {"ID003", "ID001"}]


def test_no_patient_is_on_both_sides_and_each_image_is_held_out_once() -> None:
    samples = samples_of([2] * 23)
    held_out = []
    for fold in range(5):
        train, valid = split_by_group(samples, 5, fold)
        assert not {s.group for s in train} & {s.group for s in valid}
        assert len(train) + len(valid) == len(samples)
        held_out += valid
    assert sorted(held_out, key=samples.index) == samples


def test_the_folds_do_not_depend_on_the_order_of_the_samples() -> None:
    samples = samples_of([2, 1, 3, 2, 2])
    shuffled = [samples[i] for i in np.random.default_rng(0).permutation(len(samples))]
    assert set(split_by_group(shuffled, 3, 1)[1]) == set(split_by_group(samples, 3, 1)[1])


@pytest.mark.parametrize(("folds", "fold", "fault"), [(5, 5, "0 to 4"), (5, -1, "0 to 4"), (9, 0, "9 folds of 3")])
def test_folds_that_do_not_exist_are_refused(folds: int, fold: int, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        split_by_group(samples_of([2, 2, 2]), folds, fold, "patient")


@st.composite
def hands(draw: st.DrawFn) -> tuple[list[Sample], dict[str, float]]:
    """Patients with one to three hands each, the wrist of every hand straight, bent or not to be told."""
    samples = samples_of(draw(st.lists(st.integers(1, 3), min_size=6, max_size=40)))
    angle = st.one_of(st.floats(-10, 10), st.floats(20, 40), st.just(math.nan))
    return samples, {sample.name: draw(angle) for sample in samples}


@given(hands(), st.integers(2, 5), st.one_of(st.none(), st.integers(0, 99)))
def test_bent_hands_are_spread_over_the_folds_as_evenly_as_patients_allow(
    drawn: tuple[list[Sample], dict[str, float]], folds: int, seed: int | None
) -> None:
    samples, angles = drawn
    fold_of = folds_by_strata(samples, angles, WRISTS, folds, seed)
    assert fold_of.keys() == {sample.group for sample in samples}
    bent = Counter(dict.fromkeys(range(folds), 0))
    bent.update(fold_of[sample.group] for sample in samples if abs(angles[sample.name]) > 15)
    assert max(bent.values()) - min(bent.values()) <= 3  # no patient has more hands


def test_two_hands_each_give_folds_alike_in_bent_hands_and_in_images() -> None:
    samples = samples_of([2] * 50)
    angles = {sample.name: 30.0 if sample.group < "ID010" else 2.0 for sample in samples}
    fold_of = folds_by_strata(samples, angles, WRISTS, 5)
    assert Counter(fold_of.values()) == dict.fromkeys(range(5), 10)
    assert Counter(fold for patient, fold in fold_of.items() if patient < "ID010") == dict.fromkeys(range(5), 2)


def test_a_seed_gives_other_folds_by_strata_and_the_same_each_time() -> None:
    samples = samples_of([2] * 40)
    angles = {sample.name: float(index % 37) for index, sample in enumerate(samples)}
    divisions = [folds_by_strata(samples, angles, WRISTS, 4, seed) for seed in (None, 1, 2, 1)]
    assert divisions[1] == divisions[3]
    assert len({tuple(division.items()) for division in (dict(sorted(each.items())) for each in divisions)}) == 3


def test_more_folds_than_patients_are_refused_by_wrist_too() -> None:
    samples = samples_of([2, 2])
    with pytest.raises(UserError, match="3 folds of 2 patients"):
        folds_by_strata(samples, {sample.name: 0.0 for sample in samples}, WRISTS, 3, noun="patient")


@pytest.fixture
def root(split_dir: Path, tmp_path: Path) -> Path:
    """A data set's root."""
    shutil.copytree(split_dir, tmp_path / "root" / "train")
    return tmp_path / "root"


@pytest.mark.parametrize("by", ["patient", "wrist"])
def test_the_program_writes_files_that_load(
    by: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "folds"
    monkeypatch.setattr("sys.argv", ["folds", f"--root={root}", f"--out={out}", "--k=2", f"--by={by}"])
    main()
    told = capsys.readouterr().out
    assert "Held out in each fold" in told
    assert f"data.fold_files={out} fold=all" in told
    assert fold_numbers(out) == (0, 1)
    rows = list(read_rows(out / "fold_1.csv"))
    assert all(row.label == f"{row.image.removesuffix('.png')}.json" for row in rows)
    held_out = [row.name for fold in (0, 1) for row in read_rows(out / f"fold_{fold}.csv") if row.side == "val"]
    assert sorted(held_out) == sorted(row.name for row in rows)
    main()  # the same again is no fault


def test_the_program_divides_as_training_does_without_files(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data.polygons.layout import find_samples

    monkeypatch.setattr("sys.argv", ["folds", f"--root={root}", f"--out={tmp_path / 'folds'}", "--k=2"])
    main()
    samples = find_samples(root / "train", labelled=True)
    for fold in (0, 1):
        assert split_by_file(samples, tmp_path / "folds", fold) == split_by_group(samples, 2, fold)
