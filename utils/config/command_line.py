"""Settings on the command line: `key=value …`, and `--help KEY`, which explains a key."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from utils.config.section import Section

SCHEMA: TypeAlias = "Callable[[], type[Section]]"
"""Returns the schema of the settings; a function, since importing it takes longer than showing other help."""


def add_settings(parser: argparse.ArgumentParser, words: str, schema: SCHEMA) -> None:
    """Let a program take settings, which replace a file's, as `overrides`, and explain each by `--help KEY`."""
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=words)
    explain_keys(parser, schema)


def explain_keys(parser: argparse.ArgumentParser, schema: SCHEMA) -> None:
    """Let `--help KEY` explain a key of a schema; `--help` alone shows the program's own help.

    The parser has no help yet: `ArgumentParser(add_help=False)`.
    """
    parser.add_argument(
        *("-h", "--help"),
        action=_Help,
        schema=schema,
        help="show this, or what a key means",
    )


class _Help(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str, schema: SCHEMA, help: str) -> None:
        nothing = argparse.SUPPRESS
        super().__init__(option_strings, dest=nothing, nargs="?", metavar="KEY", default=nothing, help=help)
        self.schema = schema

    def __call__(self, parser: argparse.ArgumentParser, _: Any, key: Any, option: str | None = None) -> None:
        if key is None:
            parser.print_help()
        else:
            from utils.config.explain import explain

            sys.stdout.write(explain(self.schema(), key) + "\n")
        parser.exit()
