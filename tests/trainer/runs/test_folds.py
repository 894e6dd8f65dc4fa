"""Several folds of one experiment: what lies where, what a resume leaves alone, how it ends when it is stopped."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.loading.load import dump
from configs.schema import Config
from data.folds.split import folds_of_groups
from data.polygons.layout import find_samples
from trainer.records.folder import RunFolder
from trainer.runs.folds import first_fold, folds_of, is_finished, is_news, train_folds
from trainer.split import find_split, sampling_weights
from trainer.training.engine import Engine
from trainer.training.stop_signals import interrupt_on_signals
from utils.errors import Interrupted, UserError

Make = Callable[..., Config]
QUICK: dict[str, Any] = {"trainer": {"epochs": 1}}


def folders_of(config: Config) -> list[str]:
    return sorted(path.name for path in (config.run.folder / config.run.name).iterdir() if path.is_dir())


def mark_finished(config: Config) -> None:
    """Leave what a run of two epochs does that has come to its end, as far as it matters here."""
    folder = RunFolder(config.folder)
    folder.path.mkdir(parents=True)
    folder.config.write_text(dump(config))
    folder.finished.write_text(json.dumps({"epochs_done": 2, "stopped_early": False}))


def stop_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runs that follow be asked to stop once they have done so many batches in all."""
    done, save_if_due = iter(range(1, 10_000)), Engine.save_if_due

    def stop_in_time(engine: Engine) -> None:
        if next(done) == batches:
            engine.stop_requested = lambda: True
        save_if_due(engine)

    monkeypatch.setattr(Engine, "save_if_due", stop_in_time)


def test_all_folds_are_trained_each_in_its_folder_and_joined(
    make_config: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(fold="all", **QUICK)
    train_folds(config, resume=False, command="")
    assert folders_of(config) == ["fold0", "fold1", "fold2"]
    joined = json.loads((config.run.folder / "tiny" / "crossval.json").read_text())
    names = [sample.name for sample in find_samples(config.data.root / "train", labelled=True)]
    assert sorted(joined["images"]) == sorted(names)
    for fold in range(3):
        folder = RunFolder(config.of_fold(fold).folder)
        assert is_finished(folder, config.of_fold(fold))
        validation = json.loads(folder.validation.read_text())
        assert {image for image, row in joined["images"].items() if row["fold"] == fold} == set(validation["images"])
    assert "Held-out Dice per fold" in capsys.readouterr().out


def test_a_resume_leaves_finished_folds_alone_and_goes_on_with_the_interrupted_one(
    make_config: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(fold=[2, 0], **QUICK)
    with monkeypatch.context() as patch:
        stop_after(6, patch)
        with pytest.raises(Interrupted):
            train_folds(config, resume=False, command="go on")
    first, second = (RunFolder(config.of_fold(fold).folder) for fold in (2, 0))
    assert (first.finished.exists(), second.finished.exists()) == (True, False)
    assert "Continue with: go on" in second.log.read_text()
    before = first.metrics.stat().st_mtime_ns
    train_folds(config, resume=True, command="go on")
    assert "tiny/fold2: finished already" in caplog.text
    assert "continuing in epoch 1 after 2 batches" in second.log.read_text()
    assert first.metrics.stat().st_mtime_ns == before
    assert second.finished.exists()
    assert folders_of(config) == ["fold0", "fold2"]


def test_a_fold_of_other_settings_is_not_taken_for_finished(make_config: Make) -> None:
    config = make_config(fold="all")
    mark_finished(config.of_fold(0))
    assert is_finished(RunFolder(config.of_fold(0).folder), config.of_fold(0))
    with pytest.raises(UserError, match=r"optimizer\.lr \(was 0\.003, now 0\.0001\)"):
        train_folds(make_config(fold="all", optimizer={"lr": 1e-4}), resume=True, command="")


def test_a_finished_fold_that_is_to_be_longer_is_not_finished(make_config: Make) -> None:
    folder = RunFolder(make_config().folder)
    folder.path.mkdir(parents=True)
    folder.finished.write_text(json.dumps({"epochs_done": 2, "stopped_early": False}))
    assert not is_finished(folder, make_config()), "a run that lost its configuration is none"
    folder.config.write_text(dump(make_config()))
    assert is_finished(folder, make_config())
    assert not is_finished(folder, make_config(trainer={"epochs": 3}))
    folder.finished.write_text(json.dumps({"epochs_done": 2, "stopped_early": True}))
    assert is_finished(folder, make_config(trainer={"epochs": 3}))


def test_a_run_that_lost_its_configuration_is_not_said_to_begin(
    make_config: Make, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(fold=[0])
    mark_finished(config.of_fold(0))
    RunFolder(config.of_fold(0).folder).config.unlink()
    with pytest.raises(UserError, match="fold0: holds files that are no run's"):
        train_folds(config, resume=True, command="")
    assert "begins now" not in caplog.text


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"epochs_done": "two", "stopped_early": 1}', '{"epochs_done": Infinity}', "\x00"]
)
def test_a_damaged_mark_is_no_mark(content: str, make_config: Make) -> None:
    folder = RunFolder(make_config().folder)
    folder.path.mkdir(parents=True)
    folder.finished.write_text(content)
    assert not is_finished(folder, make_config())


def test_a_folder_holds_one_run_or_several_folds(make_config: Make) -> None:
    mark_finished(make_config(fold=[0]))
    with pytest.raises(UserError, match=r"holds the folds of a cross-validation\. Say 'fold=\[0\]'"):
        train_folds(make_config(), resume=False, command="")
    mark_finished(make_config(run={"name": "single"}))
    with pytest.raises(UserError, match="holds a run of a single fold"):
        train_folds(make_config(run={"name": "single"}, fold="all"), resume=False, command="")


def test_a_later_fold_that_cannot_begin_is_refused_before_the_first_is_trained(
    make_config: Make, root: Path, tmp_path: Path
) -> None:
    files = fold_files(root, tmp_path / "folds")
    (files / "fold_2.csv").write_text("nothing of a fold\n")
    config = make_config(fold="all", data={"fold_files": str(files)}, **QUICK)
    with pytest.raises(UserError, match=r"fold_2\.csv: lacks the column"):
        train_folds(config, resume=False, command="")
    with pytest.raises(UserError, match=r"has no fold_7\.csv\. There are 0, 1, 2"):
        train_folds(make_config(fold=[1, 7], data={"fold_files": str(files)}), resume=True, command="")
    assert not config.run.folder.exists()


def test_a_later_fold_that_exists_is_refused_before_the_first_is_trained(make_config: Make) -> None:
    config = make_config(fold="all", **QUICK)
    third = RunFolder(config.of_fold(2).folder)
    third.checkpoints.mkdir(parents=True)
    third.best_weights.write_bytes(b"weights")
    with pytest.raises(UserError, match=r"fold2: this run exists already\. Continue it with --resume"):
        train_folds(config, resume=False, command="")
    assert folders_of(config) == ["fold2"]


def test_folds_that_cannot_be_joined_end_nothing(make_config: Make, caplog: pytest.LogCaptureFixture) -> None:
    mark_finished(make_config(fold=[0]))
    mark_finished(make_config(fold=[1], optimizer={"lr": 1e-4}))
    train_folds(make_config(fold=[0]), resume=True, command="")
    assert "no cross-validation report: " in caplog.text
    assert "optimizer.lr (0.003 and 0.0001)" in caplog.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_between_two_folds_ends_the_whole_with_the_command_that_continues(
    number: signal.Signals, make_config: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    handler = signal.getsignal(number)
    caplog.set_level("INFO")
    monkeypatch.setattr("trainer.runs.folds.train_fold", lambda *_, **__: os.kill(os.getpid(), number))
    with pytest.raises(KeyboardInterrupt):
        train_folds(make_config(fold="all"), resume=False, command="go on")
    assert "tiny: stopped, what is saved is kept. Continue with: go on" in caplog.text
    assert signal.getsignal(number) is handler


def test_signals_are_what_they_were_afterwards() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with interrupt_on_signals():
        assert signal.getsignal(signal.SIGUSR1) is not before
    assert signal.getsignal(signal.SIGUSR1) is before


def test_which_folds_there_are_follows_from_the_config_or_from_its_files(make_config: Make, tmp_path: Path) -> None:
    assert folds_of(make_config(fold="all")) == (0, 1, 2)
    assert folds_of(make_config(fold=[2, 1])) == (2, 1)
    assert folds_of(make_config(fold=1)) == (1,)
    for number in (1, 2, 5):
        (tmp_path / f"fold_{number}.csv").touch()
    assert folds_of(make_config(fold="all", data={"fold_files": str(tmp_path)})) == (1, 2, 5)
    assert first_fold(make_config(fold="all")).held_out == 0
    assert first_fold(make_config(fold=2)).fold == 2


def fold_files(root: Path, folder: Path, *, without: str = "") -> Path:
    """Files of three folds, as `python -m data.folds` would write them, of all but one patient."""
    from data.folds.files import write_fold_files

    samples = [s for s in find_samples(root / "train", labelled=True) if s.group != without]
    write_fold_files(folder, samples, folds_of_groups([s.group for s in samples], 3), 3)
    return folder


def test_files_say_who_is_held_out(make_config: Make, root: Path, tmp_path: Path) -> None:
    files = fold_files(root, tmp_path / "folds")
    by_file = find_split(make_config(fold=1, data={"fold_files": str(files)}))
    assert by_file == find_split(make_config(fold=1))


def test_excluded_images_may_stand_in_the_files(make_config: Make, root: Path, tmp_path: Path) -> None:
    files = fold_files(root, tmp_path / "folds")
    split = find_split(make_config(data={"fold_files": str(files), "exclude": ["ID001", "image0002_0"]}))
    assert len(split.train) + len(split.valid) == 9


def test_images_that_are_in_no_file_are_reported(make_config: Make, root: Path, tmp_path: Path) -> None:
    files = fold_files(root, tmp_path / "folds", without="ID003")
    with pytest.raises(UserError, match=r"2 images of the data are in no row, ID003/image0003_0\.png"):
        find_split(make_config(data={"fold_files": str(files)}))


def test_a_resume_that_would_train_on_held_out_images_is_refused(make_config: Make, root: Path, tmp_path: Path) -> None:
    files = fold_files(root, tmp_path / "folds")
    config = make_config(data={"fold_files": str(files)}, **QUICK)
    train_folds(config, resume=False, command="")
    (files / "fold_1.csv").replace(files / "fold_0.csv")
    with pytest.raises(UserError, match=r"this run held out other images before \(image0002_0\.png was not in it\)"):
        train_folds(config, resume=True, command="")


def test_bent_wrists_are_drawn_more_often_where_asked(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = find_split(make_config()).train
    assert sampling_weights(make_config(), samples) is None
    bent = {samples[1].name, samples[3].name}
    kinds = {s.name: "bent" if s.name in bent else "straight" if s is not samples[0] else None for s in samples}
    monkeypatch.setattr("trainer.split.find_strata", lambda *_: kinds)
    weights = sampling_weights(make_config(data={"bent_weight": 4}), samples)
    assert weights == [1, 4, 1, 4, *[1] * (len(samples) - 4)]


def test_a_weight_without_a_bent_wrist_is_reported_to_have_no_effect(
    make_config: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    samples = find_split(make_config()).train
    monkeypatch.setattr("trainer.split.find_strata", lambda *_: {sample.name: "straight" for sample in samples})
    sampling_weights(make_config(data={"bent_weight": 4}), samples)
    assert "data.bent_weight: has no effect" in caplog.text


def test_training_with_a_weight_and_a_bent_wrist_runs_through(make_config: Make) -> None:
    transform = {"train": [{"name": "ulnar_deviation", "p": 1.0}]}
    config = make_config(data={"bent_weight": 3, "workers": 1}, transform=transform, trainer={"fast_dev_run": True})
    train_folds(config, resume=False, command="")
    assert RunFolder(config.folder).finished.exists()


def test_joined_folds_are_news_after_each_end_and_whatever_the_clock_says(tmp_path: Path) -> None:
    group, folds = RunFolder(tmp_path), [RunFolder(tmp_path / f"fold{fold}") for fold in range(2)]
    for fold in folds:
        fold.path.mkdir()
        fold.finished.write_text('{"seconds": 1.0}')
    assert is_news(group, folds)
    assert not is_news(group, folds)
    folds[1].finished.write_text('{"seconds": 2.0}')
    os.utime(folds[1].finished, (1.0, 1.0))  # another host, whose clock is years behind
    assert is_news(group, folds)
