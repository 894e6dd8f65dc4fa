"""The options `--task` and `--classes` of programs that read submissions, which do not say whose classes they hold."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.task import Task

DEFAULT_TASK, TASK_OF_CLASSES = "hand_bone", "polygons"


def add_task_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add `--task NAME` and `--classes FILE`; `chosen_task` reads them."""
    help_text = f"whose classes the files speak of (default: {DEFAULT_TASK}, with --classes {TASK_OF_CLASSES})"
    parser.add_argument("--task", help=help_text)
    parser.add_argument(
        "--classes", type=Path, metavar="FILE", help="classes of your own: a YAML list, or a config with data.classes"
    )


def chosen_task(arguments: argparse.Namespace) -> Task:
    """Return the task that the options name. Raises `UserError` for an unknown one, and for classes that it has not."""
    from data.polygons.classes import read_classes
    from data.tasks import task_named

    classes = read_classes(arguments.classes) if arguments.classes is not None else ()
    return task_named(arguments.task or (TASK_OF_CLASSES if classes else DEFAULT_TASK), classes)
