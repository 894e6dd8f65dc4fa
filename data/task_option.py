"""The option `--task` of programs that read submissions, which do not say whose classes they hold."""

from __future__ import annotations

import argparse

DEFAULT_TASK = "hand_bone"


def add_task_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup, *, default: str | None) -> None:
    """Add `--task NAME`, a key of `data.tasks.TASKS`; `task_named` checks it.

    `default` is None for a program that must know whether the option was given; it then takes `DEFAULT_TASK` itself.
    """
    help_text = f"whose classes the files speak of (default: {DEFAULT_TASK})"
    parser.add_argument("--task", default=default, help=help_text)
