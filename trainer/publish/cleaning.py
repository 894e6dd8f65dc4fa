"""Removes from plain values what must not leave this machine: secrets, folders of paths, names of images, a team's
services. What was removed is noted by key, to be said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configs.blocks.services import Services
from configs.loading.load import as_dict
from configs.places import PROJECT
from utils.redact import looks_secret, redact
from utils.text import composed, list_names

IMAGES_OF = ", images of "
"""What stands between two names in an entry of `trainer.provenance`."""
_ROOT = r"(?:file:/{1,3}|~\w*[/\\]|\$\{?\w+\}?[/\\]|[A-Za-z]:[/\\]|\\\\|/|(?:\.\.[/\\])+)(?=[^\s/\\])"
_PATH = re.compile(_ROOT)
_WITHIN_TEXT = re.compile(rf"(?<![\w.:/\\~*$)\]>-]){_ROOT}(?:[^,\"'<>|]*[/\\](?=[^\s/\\]))?")
_HOME = re.compile(r"~\w*[/\\]?|\$\{?HOME\}?/?|(?:[A-Za-z]:)?[/\\](?:home|Users)[/\\][^/\\]+[/\\]?|/root/?")
PATTERNS = ("group_pattern",)
"""Keys whose values are regular expressions, and never paths."""
SHORTEST_NAME = 4
"""Characters of a group or of an image's name without its suffix that is searched for; shorter ones are in any text."""


@dataclass
class Cleaning:
    """Cleans the values of one file; `removed` says what it has removed, and `keys` from which keys."""

    file: str
    keys: dict[str, list[str]] = field(default_factory=dict)

    def config(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a config that another machine can read, see `docs/publish.md`."""
        values = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}
        data, predict = values.get("data", {}), values.get("predict", {})
        if data.get("exclude"):
            data["exclude"] = []
            self._note("names of images are left out", "data.exclude")
        if predict.get("detector") is not None:
            predict |= {"model": "own", "detector": None}
            self._note("its detector is a file of its own that is not sent, so images are predicted without", "predict")
        for key, default in (("services", as_dict(Services())), ("trackers", [])):
            if values.get(key, default) not in (default, ()):
                self._note("the team's services are left out", key)
            if key in values:
                values[key] = default
        return {key: self.value(value, key) for key, value in values.items()}

    def value(self, value: Any, key: str = "") -> Any:
        """Return a plain value without secrets and without the folders of paths."""
        if isinstance(value, Mapping):
            return {redact(str(name)): self.value(each, f"{key}.{name}".lstrip(".")) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(each, key) for each in value]
        return self._text(value, key) if isinstance(value, str) else value

    def _text(self, text: str, key: str) -> str:
        shown = redact(text)
        if shown != text:
            self._note("secrets are replaced by ***", key)
        if key.rpartition(".")[2] in PATTERNS:
            return shown
        short = without_folders(shown)
        if short != shown:
            self._note("of paths only the last name is sent", key)
        return short

    def _note(self, what: str, key: str) -> None:
        keys = self.keys.setdefault(what, [])
        if key not in keys:
            keys.append(key)

    @property
    def removed(self) -> list[str]:
        """A sentence for each kind of what was removed."""
        return [f"{self.file}: {what} ({list_names(keys)})" for what, keys in self.keys.items()]


def without_folders(text: str) -> str:
    """Return a text in which the last name alone is left of each absolute path, and of each that leads upwards.

    Example: `masks of /home/kim/my data/hands` becomes `masks of hands`. Addresses of the web stay.
    """
    return IMAGES_OF.join(map(_short, text.split(IMAGES_OF)))


def _short(text: str) -> str:
    if _HOME.fullmatch(text):
        return "home"
    if _PATH.match(text):
        return re.split(r"[/\\]", text.rstrip("/\\"))[-1] or "folder"
    return _WITHIN_TEXT.sub("", text)


def fault_in(text: str, names: Collection[str], folders: Collection[str]) -> str | None:
    """Say what a text holds that must not be sent: a secret, a folder of this machine, a name; None if nothing.

    `names` and `folders` are composed (NFC); the text may be stored in either form.
    """
    text = composed(text)
    if looks_secret(text):
        return "a secret"
    folder = next((each for each in folders if re.search(rf"(?<![\w.:/]){re.escape(each)}/", text)), None)
    if folder is not None:
        return f"the path {folder} of this machine"
    found = (name for name in names if name in text and re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text))
    name = next(found, None)
    return None if name is None else f"the name '{name}' of an image or group"


def folders_of(*places: Path) -> set[str]:
    """Return the folders of this machine that no file may name: the home, the project, and these."""
    found = (Path.home(), PROJECT, Path.cwd(), *places)
    # A folder behind a link may be written in both ways.
    written = {composed(str(path)) for each in found for path in (each.absolute(), each.resolve())}
    return {folder for folder in written if folder != "/"}


def names_of(
    images: Collection[str], groups: Collection[str], excluded: Collection[str], classes: Collection[str]
) -> list[str]:
    """Return the names to search for, of images, of groups and of what a config excludes; the longest first.

    A short name, a group without a digit and one that is also a class are left out: they stand in any text.
    """
    files = {part for name in (*images, *excluded) for part in composed(name).split("/")}
    longer = {*map(composed, groups), *(Path(name).stem for name in files)}
    searched = {name for name in longer if len(name) >= SHORTEST_NAME and any(map(str.isdigit, name))}
    searched |= {name for name in files if Path(name).suffix}
    return sorted(searched - set(classes), key=lambda name: (-len(name), name))


def as_json(value: Any) -> str:
    """Return the JSON of a value as it is searched and sent."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
