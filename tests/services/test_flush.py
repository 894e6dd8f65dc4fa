"""Flush sends today what was left, with the user's own addresses; a stranger's folder decides nothing of that."""

from __future__ import annotations

import inspect
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest
import yaml

from configs.blocks.services import Services
from configs.loading.load import as_dict
from services import CHANNELS
from services.channel import SECRET_ADDRESSES, QueuedEvent
from services.delivery import publisher as publishers
from services.delivery.notifier_process import serve
from services.delivery.outbox import FILE, OutboxWriter, delivery_lock
from services.delivery.publisher import Notifier
from services.delivery.run_memory import RUN, RunMemory
from services.flush import facts_in, flush, main, public_settings
from services.secrets import Secrets
from tests.services.channels import facts, finished, started
from tests.services.delivery.test_publisher import make_publisher, settings_for
from tests.services.slack.runs import shown
from tests.services.slack.standin import TOKEN, SlackStandIn
from tests.standin import Answer, Fault
from utils.errors import UserError
from utils.events import Event


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SlackStandIn]:
    monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    with SlackStandIn() as standin:
        yield standin


@pytest.fixture
def stranger() -> Iterator[SlackStandIn]:
    """A server that another person's run folder names; it must never receive anything."""
    with SlackStandIn() as standin:
        yield standin
    assert standin.requests == []


def leave_run(folder: Path, **services: Any) -> Path:
    """A run that has sent nothing, with these services in its config."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"services": services}))
    outbox = OutboxWriter(facts(folder), ["slack"])
    events: tuple[Event, ...] = (started(), finished())
    for seq, event in enumerate(events, outbox.session + 1):
        outbox.write([outbox.entry_of(QueuedEvent(f"e{seq}", 0.0, event, seq))], to_disk=False)
    return folder


class Unstarted(Notifier):
    """A notifier without a process: the test does its work."""

    def _start(self) -> None:
        self.may_leave = True
        self.has_replied.set()


def test_a_run_that_starts_beside_a_strangers_folder_sends_it_nothing(
    slack: SlackStandIn, stranger: SlackStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = leave_run(tmp_path / "theirs", slack={"channel": "runs", "base_url": stranger.base_url})
    memory = {"facts": asdict(facts(theirs)), "settings": settings_for(stranger), "env": "/root/.env"}
    (theirs / "services.json").write_text(json.dumps({"run": memory}, default=str))
    before = (theirs / FILE).read_bytes()
    monkeypatch.setattr(publishers, "Notifier", Unstarted)
    publisher = make_publisher(tmp_path / "mine", slack)
    publisher(started())
    publisher(finished())
    publisher.close()
    serve(iter([json.loads(publisher.notifier.opening), {"close": True}]), cast("Any", Mock()), lambda: True)
    assert len(slack.parents) == 1
    assert (theirs / FILE).read_bytes() == before


def test_an_address_in_a_runs_folder_receives_no_secret(
    slack: SlackStandIn, stranger: SlackStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = leave_run(tmp_path / "theirs", slack={"channel": "runs", "base_url": stranger.base_url})
    memory = {"facts": asdict(facts(theirs)), "settings": settings_for(stranger), "env": "/root/.env"}
    (theirs / "services.json").write_text(json.dumps({"run": memory}, default=str))
    assert flush([theirs]) == 2
    assert "services.slack.base_url is an address of its own" in caplog.text
    assert "--config FILE" in caplog.text
    assert (theirs / FILE).exists()
    assert flush([theirs], settings_for(slack)) == 0
    assert "done" in shown(slack.parents[0].blocks)


@pytest.mark.parametrize("key", ["auth_url", "api_url"])
def test_no_other_channel_takes_its_address_from_a_runs_folder(key: str, tmp_path: Path) -> None:
    folder = leave_run(tmp_path / "theirs", kakao={key: "https://elsewhere.example"})
    assert public_settings(folder)["kakao"] is None
    assert public_settings(folder)["slack"] == as_dict(Services())["slack"]


def test_every_address_of_every_channel_counts() -> None:
    for kind in CHANNELS.values():
        for key, param in inspect.signature(kind.build).parameters.items():
            assert key in SECRET_ADDRESSES or not key.endswith("_url") or param.default is None, key


def test_a_config_that_is_fixed_sends_what_the_wrong_one_could_not(
    slack: SlackStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = leave_run(tmp_path / "mine")
    wrong = settings_for(slack)
    wrong["slack"] = {**wrong["slack"], "channel": "rnus"}
    assert flush([tmp_path], wrong) == 2
    config = tmp_path / "mine.yaml"
    config.write_text(f"extends: {Path(__file__).parents[2] / 'configs' / 'base_train.yaml'}\n")
    name = f"services.slack.base_url={slack.base_url}"
    arguments = ["--run", str(folder), "--config", str(config), name, "services.slack.channel=runs"]
    monkeypatch.setattr("sys.argv", ["flush", *arguments])
    assert main() == 0
    assert "done" in shown(slack.parents[0].blocks)
    assert flush([tmp_path], wrong) == 0
    monkeypatch.setattr("sys.argv", ["flush", "services.slack.channel=runs"])
    with pytest.raises(UserError, match="Name it with --config FILE"):
        main()


def test_a_folder_of_another_user_is_refused(
    slack: SlackStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = leave_run(tmp_path / "theirs")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert flush([tmp_path], settings_for(slack)) == 2
    assert f"{folder}: belongs to another user, so nothing of it is sent with your secrets" in caplog.text
    assert slack.requests == []


def test_a_copy_of_a_run_sends_nothing_of_it(
    slack: SlackStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, copy = leave_run(tmp_path / "mine"), tmp_path / "copy"
    RunMemory(folder).block(RUN).set(run_id="abc123", folder=str(folder))
    shutil.copytree(folder, copy)
    assert flush([copy], settings_for(slack)) == 0
    assert f"{copy}: is a copy of {folder}, which sends its messages: python -m services.flush {folder}" in caplog.text
    assert slack.requests == []
    folder.rename(tmp_path / "moved")
    assert flush([tmp_path / "moved"], settings_for(slack)) == 0
    assert len(slack.parents) == 1


def test_who_delivers_already_is_said(slack: SlackStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folder = leave_run(tmp_path / "mine")
    with delivery_lock(folder, 0):
        assert flush([folder], settings_for(slack)) == 2
    assert (
        f"{folder / FILE}: is being delivered (this process). Wait for it, or end it if it hangs. Nothing was sent "
        "from here."
    ) in caplog.text


def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_sent(
    slack: SlackStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    for name in ("closed", "listed", "mine"):
        leave_run(tmp_path / name)
    scandir, access = os.scandir, os.access

    def refuse(folder: Path) -> Any:
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "listed" and access(path, mode))
    assert flush([tmp_path], settings_for(slack)) == 2
    for name in ("closed", "listed"):
        assert f"{tmp_path / name}: cannot be read (Permission denied), so messages in it are not sent" in caplog.text
    assert f"{tmp_path / 'mine'}: all is sent" in caplog.text
    assert len(slack.parents) == 1
    caplog.clear()
    assert flush([tmp_path / "closed"], settings_for(slack)) == 2
    assert "nothing is left to send" not in caplog.text


def test_where_a_run_lies_is_not_read_from_its_folder(tmp_path: Path) -> None:
    folder = leave_run(tmp_path / "mine")
    moved = folder.rename(tmp_path / "moved")
    found = facts_in(moved)
    assert (found.folder, found.title) == (moved, "mine")


def test_flush_says_what_it_cannot_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        flush([tmp_path / "nowhere"])
    assert flush([tmp_path]) == 0
    assert "nothing is left to send" in caplog.text
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / FILE).write_text("{}\n")
    assert flush([tmp_path]) == 2
    assert "has no services that can be read" in caplog.text
    assert flush([tmp_path], as_dict(Services())) == 2
    assert "does not say of which run it is" in caplog.text
    assert Secrets().env_file == tmp_path / ".env"


def test_what_was_given_up_is_not_called_sent(
    slack: SlackStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.delivery.worker.PAUSES_S", (0.0, 0.0))
    folder = leave_run(tmp_path / "mine")
    slack.always = Fault("answer", Answer(200, {"ok": False, "error": "new_code"}))
    assert flush([folder], settings_for(slack)) == 2
    assert f"{folder}: nothing is left, but 2 could not be sent; services.json says why" in caplog.text
    assert flush([folder], settings_for(slack)) == 0


def test_why_nothing_arrives_is_said_and_a_link_without_a_target_is_no_fault(
    slack: SlackStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = leave_run(tmp_path / "mine")
    (folder / "old.json").symlink_to("nowhere")
    slack.always = Fault("answer", Answer(200, "<html>A hotel's page</html>"))
    assert flush([folder], settings_for(slack)) == 2
    assert "slack: 2 messages not delivered yet (chat.postMessage: " in caplog.text
