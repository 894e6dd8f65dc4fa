from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.services.slack.runs import (
    FACTS,
    Night,
    bot,
    context,
    epoch_ended,
    failed,
    finished,
    interrupted,
    report,
    shown,
    started,
    step,
)
from tests.services.slack.standin import TOKEN, Channel, SlackStandIn
from utils.events import Event, FoldsJoined, ImageScored

PNG = b"\x89PNG\r\n\x1a\n picture"


@pytest.fixture
def night(tmp_path: Path, workspace: SlackStandIn) -> Night:
    return Night(bot(tmp_path, workspace))


def test_a_run_is_one_message_that_is_edited(night: Night, workspace: SlackStandIn) -> None:
    night.send(started())
    night.pass_by(30)
    night.send(epoch_ended(0, 0.5))
    night.pass_by(30)
    night.send(step(1, 5, loss=0.25))
    (parent,) = workspace.parents
    assert parent.edits == 2
    text = shown(parent.blocks)
    assert "training · mine/fold2" in text
    assert f"```{'█' * 7}{'░' * 13}  38%```" in text
    for line in ("*Epoch*\n2/4", "*Training loss*\n0.2500", "*Dice*\n0.5000", "*Best Dice*\n0.5000 (epoch 1)"):
        assert line in text
    for line in ("*Learning rate*\n1.00e-03", "*Waiting for data*\n2%", "21.3 GiB", "kim@v100-1", "*Time left*\n4 min"):
        assert line in text


def test_progress_is_edited_no_more_often_than_asked(tmp_path: Path, workspace: SlackStandIn) -> None:
    night = Night(bot(tmp_path, workspace, update_every_s=30))
    night.send(started())
    for number in range(1, 10):
        night.pass_by(10)
        night.send(step(0, number))
    assert workspace.parents[0].edits == 3


def test_the_last_state_is_shown_at_once(night: Night, workspace: SlackStandIn) -> None:
    night.send(started(), finished())
    (parent,) = workspace.parents
    assert parent.edits == 1
    assert "done · mine/fold2" in shown(parent.blocks)
    assert "*Ran for*\n2 h 05 min" in shown(parent.blocks)


@pytest.mark.parametrize(
    ("event", "state", "words"),
    [
        (finished(), "done", "is done: best Dice *0.9000* in epoch 3"),
        (finished(stopped_early=True), "stopped early", "with nothing better since epoch 3: best Dice *0.9000*"),
        (interrupted(), "interrupted", "was stopped in epoch 2, by SIGTERM"),
        (failed("boom"), "failed", "failed in epoch 1"),
        (failed("no room", fault="memory"), "failed", "ran out of memory"),
        (failed("not finite", fault="nan"), "failed", "not finite (NaN)"),
        (failed("gone", fault="lost"), "lost", "no sign of life"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_end_is_said_as_such(night: Night, workspace: SlackStandIn, event: Any, state: str, words: str) -> None:
    night.send(started(), event)
    (parent,) = workspace.parents
    (note,) = workspace.replies(parent)
    assert f"{state} · mine/fold2" in shown(parent.blocks)
    assert words in note.text
    assert note.broadcast


@pytest.mark.parametrize("event", [interrupted(), failed()], ids=["interrupted", "failed"])
def test_message_and_thread_hold_the_command_that_goes_on(night: Night, workspace: SlackStandIn, event: Any) -> None:
    night.send(started(), event)
    (parent,) = workspace.parents
    for message in (parent, *workspace.replies(parent)):
        assert f"```{FACTS.command}```" in shown(message.blocks)


def test_the_owner_is_called_for_errors_alone(tmp_path: Path, workspace: SlackStandIn) -> None:
    night = Night(bot(tmp_path, workspace, owner="U012AB3CD"))
    night.send(started(), interrupted("SIGINT"), interrupted(None), interrupted("SIGTERM"), failed(), finished())
    called = ["<@U012AB3CD>" in note.text for note in workspace.replies(workspace.parents[0])]
    assert called == [False, False, True, True, False]


def test_a_traceback_ends_in_the_message_and_lies_whole_in_a_file(night: Night, workspace: SlackStandIn) -> None:
    trace = "\n".join(f"line {number} of <module> & more" for number in range(400)) + f"\nKeyError: '{TOKEN}'"
    night.send(started(), failed(trace=trace))
    note, tail, attached = workspace.replies(workspace.parents[0])
    assert [message.broadcast for message in (note, tail, attached)] == [True, False, False]
    text = shown(tail.blocks)
    assert "line 399 of &lt;module&gt; &amp; more" in text
    assert "line 100 of" not in text
    (file,) = attached.files
    assert file.name == "mine-fold2-traceback.txt"
    assert file.content is not None
    assert b"line 0 of" in file.content
    assert TOKEN.encode() not in file.content
    assert TOKEN not in text


def test_pictures_hang_in_the_thread_and_lost_ones_are_named(
    night: Night, tmp_path: Path, workspace: SlackStandIn
) -> None:
    for name in ("bars.png", "worst.jpg"):
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "empty.png").touch()
    pictures = {"Dice_per_class": tmp_path / "bars.png", "Worst_1": tmp_path / "worst.jpg"}
    lost = {"Worst_2": tmp_path / "gone.jpg", "Worst_3": tmp_path / "empty.png"}
    night.send(started(), finished(), report(**pictures, **lost))
    note = workspace.replies(workspace.parents[0])[-1]
    assert [(file.title, file.content) for file in note.files] == [("Dice per class", PNG), ("Worst 1", PNG)]
    assert "Lowest Dice: Trapezium 0.710, Trapezoid 0.740, Radius 0.970" in note.text
    assert "not on disk any more: Worst 2, Worst 3" in note.text


def test_a_report_without_pictures_is_told_all_the_same(night: Night, workspace: SlackStandIn) -> None:
    night.send(started(), report())
    (note,) = workspace.replies(workspace.parents[0])
    assert "report.html" in note.text


def test_many_pictures_come_in_messages_of_ten(night: Night, tmp_path: Path, workspace: SlackStandIn) -> None:
    pictures = {f"case_{number:02}": tmp_path / f"{number}.png" for number in range(12)}
    for path in pictures.values():
        path.write_bytes(PNG)
    night.send(started(), report(**pictures))
    assert [len(note.files) for note in workspace.replies(workspace.parents[0])] == [10, 2]


def test_new_bests_are_told_but_not_one_by_one(night: Night, workspace: SlackStandIn) -> None:
    night.send(started(epochs=20))
    for epoch, score in enumerate((0.5, 0.6, 0.7, 0.8)):
        night.send(epoch_ended(epoch, score, epochs=20))
        night.pass_by(60)
    assert workspace.replies(workspace.parents[0]) == []
    night.pass_by(300)
    night.send(epoch_ended(4, 0.75, best=0.8, epochs=20), epoch_ended(5, 0.75, best=0.8, epochs=20))
    (note,) = workspace.replies(workspace.parents[0])
    assert note.text == "🏆 New best Dice: *0.8000* in epoch 4 (+0.3000)"


def test_what_is_remembered_does_not_grow_with_the_epochs(tmp_path: Path, workspace: SlackStandIn) -> None:
    night, sizes = Night(bot(tmp_path, workspace)), []
    night.send(started(epochs=20))
    for epoch in range(10):
        night.pass_by(1000)
        night.send(epoch_ended(epoch, 0.5 + epoch / 100, epochs=20))
        sizes.append((tmp_path / "services.json").stat().st_size)
    assert len(workspace.replies(workspace.parents[0])) == 9
    assert max(sizes) - min(sizes) < 100


def test_bests_keep_to_the_epochs_that_are_worth_a_message(tmp_path: Path, workspace: SlackStandIn) -> None:
    night = Night(bot(tmp_path, workspace, context(tmp_path, every_epochs=5)))
    night.send(started(epochs=20))
    for epoch in range(10):
        night.pass_by(1000)
        night.send(epoch_ended(epoch, 0.5 + epoch / 100, epochs=20))
    assert [note.text.split(" epoch ")[1][:2] for note in workspace.replies(workspace.parents[0])] == ["5 ", "10"]


def test_a_run_resumed_on_a_host_an_hour_behind_goes_on_in_its_message(tmp_path: Path, workspace: SlackStandIn) -> None:
    Night(bot(tmp_path, workspace)).send(started(), epoch_ended(0, 0.5), interrupted())
    night = Night(bot(tmp_path, workspace), start_s=1_800_000_000 - 3600, after=9)
    night.send(started(first_epoch=1))
    night.pass_by(60)
    night.send(step(1, 5))
    (parent,) = workspace.parents
    assert "training · mine/fold2" in shown(parent.blocks)
    assert "0.5000 (epoch 1)" in shown(parent.blocks)
    assert "goes on in epoch 2 of 4 on v100-1" in workspace.replies(parent)[-1].text


def test_another_channel_means_another_message(tmp_path: Path, workspace: SlackStandIn) -> None:
    workspace.channels.append(Channel("C999", "other"))
    Night(bot(tmp_path, workspace)).send(started())
    Night(bot(tmp_path, workspace, channel="other"), after=9).send(started(first_epoch=1))
    assert [parent.channel for parent in workspace.parents] == ["C012AB3CD", "C999"]


def test_a_deleted_message_is_made_anew(night: Night, workspace: SlackStandIn) -> None:
    night.send(started())
    workspace.messages.clear()
    night.send(failed(trace="Traceback"))
    (parent,) = workspace.parents
    assert [len(note.files) for note in workspace.replies(parent)] == [0, 0, 1]


def test_messages_that_nobody_may_edit_do_not_fill_the_channel(night: Night, workspace: SlackStandIn) -> None:
    night.send(started())
    workspace.editable = False
    for number in range(8):
        night.pass_by(100)
        night.send(step(0, number + 1))
    assert len(workspace.parents) == 1 + 3
    night.send(finished())
    assert "done · mine" in shown(workspace.parents[-1].blocks)


def test_folds_are_joined_as_mean_and_spread(night: Night, workspace: SlackStandIn) -> None:
    joined = FoldsJoined("mine", FACTS.folder, 5, 0.9123, 0.0041, FACTS.folder / "crossval.html", {"Radius": 0.97})
    night.send(joined)
    (parent,) = workspace.parents
    assert "all 5 folds joined, Dice *0.9123* ± 0.0041" in parent.text
    assert "Radius 0.970" in parent.text


def test_every_message_says_which_event_of_which_run_it_is(tmp_path: Path, workspace: SlackStandIn) -> None:
    queued = Night(bot(tmp_path, workspace)).send(started())
    payload = workspace.parents[0].metadata["event_payload"]
    assert payload == {"run_id": "run-1", "event_id": queued.id, "event": "RunStarted"}


def test_only_what_is_asked_for_is_told(tmp_path: Path, workspace: SlackStandIn) -> None:
    channel = bot(tmp_path, workspace, events=("error",))
    night = Night(channel)
    night.send(started(), epoch_ended(0, 0.5), finished(), report())
    assert workspace.messages == []
    night.send(failed())
    assert "failed · mine" in shown(workspace.parents[0].blocks)
    assert "0.5000" in shown(workspace.parents[0].blocks)


def test_steps_are_no_business_of_a_channel_without_progress(tmp_path: Path, workspace: SlackStandIn) -> None:
    for events, wanted in ((("end",), False), (("progress",), True)):
        channel = bot(tmp_path, workspace, events=events)
        assert channel.accepts(step(0, 1)) == channel.accepts(ImageScored(0, 1, 2)) == wanted
        assert channel.accepts(epoch_ended(0, 0.5))
    assert not bot(tmp_path, workspace, events=()).accepts(finished())


def test_progress_may_be_lost_and_nothing_else(tmp_path: Path, workspace: SlackStandIn) -> None:
    channel = bot(tmp_path, workspace)
    progress: list[Event] = [step(0, 1), epoch_ended(0, 0.5), ImageScored(0, 1, 2)]
    turns: list[Event] = [started(), finished(), failed(), interrupted(), report()]
    assert [channel.must_arrive(event) for event in (*progress, *turns)] == [False] * 3 + [True] * 5


def test_korean_teams_read_korean(tmp_path: Path, workspace: SlackStandIn) -> None:
    about = context(tmp_path, language="ko")
    Night(bot(tmp_path, workspace, about=about)).send(started(), epoch_ended(0, 0.5), failed(fault="memory"))
    (parent,) = workspace.parents
    assert "실패 · mine/fold2" in shown(parent.blocks)
    assert "*소요 시간*\n2분" in shown(parent.blocks)
    assert "메모리가 부족해 멈췄습니다" in workspace.replies(parent)[0].text


def test_a_channel_of_the_next_day_knows_how_far_the_run_was(tmp_path: Path, workspace: SlackStandIn) -> None:
    night = Night(bot(tmp_path, workspace))
    night.send(started())
    night.pass_by(60)
    night.send(epoch_ended(0, 0.5))
    Night(bot(tmp_path, workspace), start_s=1_800_086_400, after=9).send(failed())
    (parent,) = workspace.parents
    assert "failed · mine/fold2" in shown(parent.blocks)
    assert "0.5000 (epoch 1)" in shown(parent.blocks)


def test_what_lay_in_the_outbox_does_not_turn_the_message_back(tmp_path: Path, workspace: SlackStandIn) -> None:
    night = Night(bot(tmp_path, workspace), after=9)
    night.send(started(), finished())
    Night(bot(tmp_path, workspace), start_s=1_800_086_400, after=1).send(interrupted())
    (parent,) = workspace.parents
    assert "done · mine/fold2" in shown(parent.blocks)
    assert "SIGTERM" in workspace.replies(parent)[-1].text


def test_a_clock_that_goes_back_an_hour_in_mid_run_stops_no_edit(night: Night, workspace: SlackStandIn) -> None:
    night.send(started(), epoch_ended(0, 0.5))
    night.at_s -= 3600
    night.send(finished())
    (parent,) = workspace.parents
    assert "done · mine/fold2" in shown(parent.blocks)


def test_an_end_after_an_outage_shows_the_best_that_the_event_knows(night: Night, workspace: SlackStandIn) -> None:
    night.send(started())
    night.pass_by(60)
    night.send(epoch_ended(0, 0.52))
    night.send(replace(finished(), best=0.9283, best_epoch=2))
    (parent,) = workspace.parents
    assert "best Dice *0.9283* in epoch 3" in workspace.replies(parent)[-1].text
    assert "0.9283 (epoch 3)" in shown(parent.blocks)
