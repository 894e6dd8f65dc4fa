"""A search: its random states, resume, pruning and reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.loading.load import dump
from configs.schema import Config
from configs.search_space import Choices, Space, Span
from data.hand_bone.task import hand_bone
from trainer.evaluation.distances import NSD
from trainer.records.folder import RunFolder
from trainer.search.report import page_values, short_keys, summary_of
from trainer.search.search import search
from trainer.search.study import Proposal, Study
from trainer.search.trial import Outcome, outcome_of, run_trial
from utils.errors import UserError

Make = Callable[..., Config]
SPACE: Space = {
    "optimizer.lr": Span(low=1e-4, high=1e-2, log=True),
    "trainer.accumulate": Span(low=1, high=3),
    "loss": Choices(choices=("dice", {"name": "focal", "gamma": 1.5})),
}


pytestmark = pytest.mark.usefixtures("hurried_studies")


@pytest.fixture
def open_study(make_config: Make, tmp_path: Path) -> Callable[..., Study]:
    def open_it(name: str = "search.sqlite", **changes: Any) -> Study:
        return Study(tmp_path / name, make_config(**changes), SPACE)

    return open_it


def goodness(proposal: Proposal) -> float:
    return float(0.9 - proposal.settings["trainer.accumulate"] / 100 - proposal.settings["optimizer.lr"])


def test_an_interrupted_search_makes_the_same_proposals(
    open_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.search.study.RANDOM_TRIALS", 3)
    whole, settings = open_study("whole"), []
    for _ in range(6):
        proposal = whole.propose()
        settings.append(proposal.settings)
        whole.close(proposal, Outcome("done", goodness(proposal), 1))
    assert len({json.dumps(each) for each in settings}) == 6
    parts = []
    for index in range(6):
        study = open_study("parts")
        proposal = study.propose()
        if index in (2, 5):  # killed here, and tried again
            study = open_study("parts")
            again = study.propose()
            assert (again.number, again.settings) == (proposal.number, proposal.settings)
            proposal = again
        parts.append(proposal.settings)
        study.close(proposal, Outcome("done", goodness(proposal), 1))
    assert parts == settings
    assert len(open_study("parts").finished) == 6
    other = open_study("other", seed=7)
    assert other.propose().settings != settings[0]


def test_several_trials_at_once_are_what_one_after_the_other_would_be(open_study: Callable[..., Study]) -> None:
    study, in_turn = open_study("in_turn"), []
    for _ in range(3):
        proposal = study.propose()
        in_turn.append(proposal.settings)
        study.close(proposal, Outcome("done", 0.5, 1))
    at_once = open_study("at_once")
    assert [at_once.propose().settings for _ in range(3)] == in_turn
    again = open_study("at_once")
    assert [again.propose().settings for _ in range(3)] == in_turn, "killed, all three go on"
    assert again.propose().number == 4


def test_a_trial_that_is_worse_than_the_median_is_pruned(open_study: Callable[..., Study]) -> None:
    study = open_study()
    for _ in range(4):
        good = study.propose()
        assert not any(good.should_prune(epoch, 0.5 + 0.1 * epoch) for epoch in range(3))
        study.close(good, Outcome("done", 0.7, 3))
    bad = study.propose()
    assert [bad.should_prune(epoch, 0.1) for epoch in range(3)] == [False, True, True]
    study.close(bad, Outcome("pruned", 0.1, 3))
    assert [trial.state.name for trial in study.finished] == ["COMPLETE"] * 4 + ["PRUNED"]


def test_a_killed_trial_keeps_the_scores_it_had(open_study: Callable[..., Study]) -> None:
    study = open_study()
    proposal = study.propose()
    proposal.should_prune(0, 0.25)
    again = open_study().propose()
    assert again.reported_epochs == {0}
    again.should_prune(0, 0.9)
    again.should_prune(1, 0.5)
    assert again.trial.storage.get_trial(again.trial._trial_id).intermediate_values == {0: 0.25, 1: 0.5}


def test_other_settings_than_the_search_was_begun_with_are_refused(
    open_study: Callable[..., Study], tmp_path: Path
) -> None:
    open_study()
    open_study(data={"workers": 0})
    with pytest.raises(UserError, match=r"begun with other values of optimizer\.weight_decay, trainer\.epochs"):
        open_study(optimizer={"name": "adamw", "lr": 3e-3, "weight_decay": 0.5}, trainer={"epochs": 7})
    with pytest.raises(UserError, match=r"begun with other values of early_stopping\."):
        open_study(early_stopping={"patience": 1})
    (tmp_path / "damaged").write_bytes(b"no database" * 99)
    with pytest.raises(UserError, match="is damaged or no search"):
        open_study("damaged")


def test_a_summary_is_sorted_and_carries_the_command(open_study: Callable[..., Study]) -> None:
    study = open_study()
    ends = [Outcome("failed", reason="too large <b>"), Outcome("pruned", 0.99, 2, 3.0), *[Outcome("done", 0.5, 4)] * 2]
    for end in [*ends, Outcome("done", 0.8, 4, 60.0), *(Outcome("done", 0.1 + 0.01 * index, 4) for index in range(6))]:
        study.close(study.propose(), end)
    summary = summary_of(study, "mine-search", "python train.py --config mine.yaml")
    assert [row["trial"] for row in summary["trials"]][:3] == [5, 3, 4]
    assert [row["state"] for row in summary["trials"]][-2:] == ["pruned", "failed"]
    assert summary["best"]["dice"] == 0.8
    assert summary["best"]["command"].startswith("python train.py --config mine.yaml optimizer.lr=0.00")
    assert summary["importance"].keys() == SPACE.keys()
    assert sum(summary["importance"].values()) == pytest.approx(1)
    shown = page_values(summary, hand_bone.metric)
    assert shown["failures"][0]["reason"] == "too large <b>"
    assert "focal gamma=1.5" in {row[-1] for row in shown["rows"]}
    assert short_keys(["optimizer.lr", "a.lr", "loss"]) == ["optimizer.lr", "a.lr", "loss"]
    assert short_keys(list(SPACE)) == ["lr", "accumulate", "loss"]


def test_a_search_trains_reports_and_goes_on(
    make_config: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, space = tmp_path / "mine.yaml", tmp_path / "space.yaml"
    config.write_text(dump(make_config(transform={"size_px": 32}, trainer={"fast_dev_run": True})))
    space.write_text("optimizer.lr: {low: 1e-4, high: 1e-2, log: true}\nmodel: {choices: [fpn, {name: nonet}]}\n")
    with pytest.raises(UserError, match=r"space\.yaml:2: model: 'nonet' is not a model"):
        search(config, space, 1)
    space.write_text("optimizer.lr: {low: 1e-4, high: 1e-2, log: true}\ntrainer.batch_size: {low: 2, high: 3}\n")
    folder = search(config, space, 1)
    first = json.loads((folder / "search.json").read_text())
    assert search(config, space, 2) == folder == tmp_path / "runs" / "tiny-search"
    summary = json.loads((folder / "search.json").read_text())
    assert len(summary["trials"]) == 2
    assert first["trials"][0] in summary["trials"], "what was done is not done again"
    for row in summary["trials"]:
        run = RunFolder(folder / f"trial-{row['trial']:04d}")
        assert json.loads(run.validation.read_text())["mean_dice"] == pytest.approx(row["dice"], abs=1e-5)
        assert f"lr: {row['settings']['optimizer.lr']}" in run.config.read_text()
        assert not run.has_state
    assert "<svg" in (folder / "search.html").read_text()
    assert "To train the best at length:" in capsys.readouterr().out


def test_a_search_may_look_for_outlines_near_the_true_ones(make_config: Make, tmp_path: Path) -> None:
    config, space = tmp_path / "mine.yaml", tmp_path / "space.yaml"
    config.write_text(dump(make_config(trainer={"epochs": 1})))
    space.write_text("optimizer.lr: {low: 1e-4, high: 1e-2}\n")
    folder = search(config, space, 1, metric="nsd")
    (trial,) = json.loads((folder / "search.json").read_text())["trials"]
    measured = json.loads(RunFolder(folder / "trial-0001").distances.read_text())
    assert trial["state"] == "done"
    assert trial["nsd"] == measured["distances"]["nsd"]["mean"]
    with pytest.raises(UserError, match=r"this search was begun for nsd, not for dice\. Give the same --metric"):
        search(config, space, 2)


def test_a_trial_whose_distances_were_not_measured_has_failed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.metrics.write_text("epoch,seconds,data_wait_share,dice\n1,2,0,0.5\n")
    end = outcome_of(folder, NSD, "done")
    assert (end.state, end.score, end.reason) == ("failed", None, "its NSD was not measured; see its log")
    assert outcome_of(folder, hand_bone.metric, "done").score == 0.5


def test_a_bad_trial_is_stopped(make_config: Make) -> None:
    config = make_config(transform={"size_px": 32}, trainer={"epochs": 5})
    asked = []

    def should_prune(epoch: int, score: float) -> bool:
        asked.append((epoch, score))
        return epoch == 1

    end = run_trial(config, command="", should_prune=should_prune)
    assert (end.state, end.epochs) == ("pruned", 2)
    assert end.score == pytest.approx(max(score for _, score in asked), abs=1e-5)


def test_a_failure_that_other_settings_can_avoid_is_an_outcome(make_config: Make, tmp_path: Path) -> None:
    end = run_trial(make_config(data={"root": str(tmp_path / "none")}), command="", should_prune=lambda *_: False)
    assert end.state == "failed"
    assert "there is no folder" in end.reason
