"""Commands that are shown can be copied into a shell, also if paths hold spaces and Hangul."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from configs.schema import Config
from data.hand_bone.task import hand_bone
from trainer.report.report import commands_of


def test_the_commands_of_a_report_name_each_path_as_one_argument(
    make_config: Callable[..., Config], tmp_path: Path
) -> None:
    runs, data = tmp_path / "손 뼈" / "runs", tmp_path / "손 자료"
    config = make_config(run={"name": "tiny", "folder": str(runs)}, data={"root": str(data)})
    commands = [shlex.split(line) for line in commands_of(config, hand_bone).splitlines() if not line.startswith("#")]
    run = runs / "tiny"
    assert [command[3] for command in commands] == [
        str(run / "config.yaml"), str(run), str(run), str(run / "submission.csv"),
    ]  # fmt: skip
    assert commands[-1][-1] == str(data / "test")
