"""The settings of an experiment on the command line of a program."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from configs.completion import SHELLS, Completion
from utils.config.command_line import add_settings, explain_keys

if TYPE_CHECKING:
    from configs.schema import Config


def add_overrides(parser: argparse.ArgumentParser, words: str = "settings that replace the file's") -> None:
    """Let a program take `key=value …`, and explain each key by `--help KEY`."""
    add_settings(parser, words, config_schema)
    parser.add_argument(
        "--completion",
        action=Completion,
        choices=SHELLS,
        default=argparse.SUPPRESS,
        help='print the shell\'s completion: eval "$(… bash)"',
    )


def explain_config(parser: argparse.ArgumentParser) -> None:
    """Let `--help KEY` explain a key of a config, for a program that takes settings in a group of options."""
    explain_keys(parser, config_schema)


def config_schema() -> type[Config]:
    """Return the schema, imported when a key is to be explained."""
    from configs.schema import Config

    return Config
