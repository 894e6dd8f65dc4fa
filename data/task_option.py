"""The options of programs without a config: whose classes a submission holds, and whose images are one group's."""

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
    """Return the task that the options name, with its groups.

    Raises `UserError` for an unknown one, and for classes and groups that it has not.
    """
    from data.polygons.classes import read_classes
    from data.tasks import task_named

    classes = read_classes(arguments.classes) if arguments.classes is not None else ()
    task = task_named(arguments.task or (TASK_OF_CLASSES if classes else DEFAULT_TASK), classes)
    return task.grouped_by(getattr(arguments, "group_pattern", None))


def add_group_option(parser: argparse.ArgumentParser) -> None:
    """Add `--group-pattern`, the key `data.group_pattern` for programs without a config."""
    parser.add_argument(
        "--group-pattern",
        type=_pattern,
        metavar="REGEX",
        help="as data.group_pattern: which part of an image's name says the group (hand bones: the patient), such as "
        r"'(P\d+)_'; default: its folder",
    )


def _pattern(text: str) -> str:
    from data.sample import checked_pattern

    try:
        return checked_pattern(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
