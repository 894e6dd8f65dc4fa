"""Completion of options, config keys, choices and runs in a shell: `eval "$(python train.py --completion bash)"`.

The shell answers from the printed script alone, so no program is started while somebody types. Keys and choices are
those of docs/config.schema.json; names of runs are the folders that `runs/` has at that moment.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "docs" / "config.schema.json"
SHELLS = ("bash", "zsh")
RUNS = ("--run", "--runs", "--resume")
"""Options whose value is the folder of a run."""
Schema = Mapping[str, Any]
Seen = frozenset[str]

SCRIPT = """\
_carpus_@() {
  case "$1" in
    @RUNS) found="$(find -L runs/ -mindepth 1 -maxdepth 1 -type d ! -name '.*' 2>/dev/null | sort)"; return ;;
@OPTIONS  esac
  case "$2" in
    -*) found=@FLAGS ;;
@VALUES    *=*) found= ;;
    *) found=@KEYS ;;
  esac
}
_carpus() {
  local line="${COMP_LINE:0:$COMP_POINT}" current previous program found= word name
  current="${line##* }"
  previous="${line% *}"; previous="${previous##* }"
  COMPREPLY=()
  for word in $line; do
    name="${word##*/}"; name="${name//[^A-Za-z0-9]/_}"
    if declare -f "_carpus_$name" >/dev/null; then program="_carpus_$name"; fi
  done
  [ -n "$program" ] || return 0
  "$program" "$previous" "$current"
  for word in $(printf '%s\\n' $found); do
    case "$current" in *=*) word="${current%%=*}=$word" ;; esac
    case "$word" in "$current"*) ;; *) continue ;; esac
    # Bash itself replaces no more than what stands behind the last "=".
    if [ -z "$ZSH_VERSION" ]; then case "$current" in *=*) word="${word#*=}" ;; esac; fi
    COMPREPLY+=("$word")
  done
  case "${COMPREPLY[0]}" in *=) compopt -o nospace 2>/dev/null || true ;; esac
}
complete -o default -o bashdefault -F _carpus python python3
"""
FOR_ZSH = "autoload -U +X compinit && compinit; autoload -U +X bashcompinit && bashcompinit; setopt sh_word_split\n"


class Completion(argparse.Action):
    """The option `--completion SHELL`, which prints the script of its program."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, shell: Any, option: str | None = None) -> None:
        schema = json.loads(FILE.read_text(encoding="utf-8"))
        sys.stdout.write(script_of(parser, schema, shell))
        parser.exit()


def script_of(parser: argparse.ArgumentParser, schema: Schema, shell: str) -> str:
    """Return the script that completes the options of a parser, and settings of a config."""
    values = dict(choices_of(schema))
    flags = [name for action in parser._actions for name in action.option_strings]
    filled = {
        "@RUNS": "|".join(RUNS),
        "@OPTIONS": "".join(_case(names, choices, "; return") for names, choices in _options(parser)),
        "@FLAGS": shlex.quote(" ".join(flags)),
        "@VALUES": "".join(_case(f"{key}=*", choices) for key, choices in values.items() if choices),
        "@KEYS": shlex.quote(" ".join(f"{key}=" for key in values)),
        "@": "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in parser.prog.split()[-1]),
    }
    text = SCRIPT
    for mark, content in filled.items():
        text = text.replace(mark, content)
    return FOR_ZSH + text if shell == "zsh" else text


def choices_of(schema: Schema) -> Iterator[tuple[str, list[str]]]:
    """Yield each dotted key of a config, sorted, with its choices; none if any value may be given."""
    found: dict[str, list[str]] = {}
    for key, part in _keys(schema, schema, ""):
        found.setdefault(key, [])
        found[key] += [each for each in _choices(part, schema) if each not in found[key]]
    yield from sorted(found.items())


def _keys(part: Schema, schema: Schema, before: str, seen: Seen = frozenset()) -> Iterator[tuple[str, Schema]]:
    for block, within in _blocks(part, schema, seen):
        for name, value in block.get("properties", {}).items():
            if f"{before}{name}" != "extends":
                yield f"{before}{name}", value
            yield from _keys(value, schema, f"{before}{name}.", within)


def _blocks(part: Schema, schema: Schema, seen: Seen = frozenset()) -> Iterator[tuple[Schema, Seen]]:
    """Yield a part of a schema, its alternatives and what they refer to, each with the references on the way to it.

    A reference that is on its own way, such as a loss that takes a loss, is left out.
    """
    yield part, seen
    reference = part.get("$ref")
    if reference is not None and reference not in seen:
        yield from _blocks(schema["$defs"][reference.rsplit("/", 1)[1]], schema, seen | {reference})
    alternatives = [*part.get("anyOf", ()), *part.get("oneOf", ()), *part.get("allOf", ())]
    for alternative in [*alternatives, *([part["then"]] if "then" in part else [])]:
        yield from _blocks(alternative, schema, seen)


def _choices(part: Schema, schema: Schema) -> Iterator[str]:
    for block, _ in _blocks(part, schema):
        if block.get("type") == "boolean":
            yield from ("true", "false")
        for value in [*block.get("enum", ()), *([block["const"]] if "const" in block else [])]:
            yield "null" if value is None else str(value)


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    for action in parser._actions:
        if action.option_strings and action.choices:
            yield "|".join(action.option_strings), [str(choice) for choice in action.choices]


def _case(pattern: str, words: list[str], end: str = "") -> str:
    return f"    {pattern}) found={shlex.quote(' '.join(words))}{end} ;;\n"
