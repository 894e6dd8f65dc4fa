"""Train from a Python program: what it gives becomes a config, its callbacks receive the run's events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs.loading.load import as_dict, from_values, load
from configs.places import PATH_KEYS, as_typed
from configs.schema import Config
from trainer.runs.folds import free_memory, run_folders, train_folds
from trainer.runs.listeners import emit_to_all
from trainer.runs.stored_config import keep_length, load_stored
from utils.errors import Interrupted, UserError
from utils.events import Event
from utils.files import expand
from utils.program import sentence_about_file


class Callbacks:
    """Passes a run's events to functions in turn, and asks the run to stop if one of them does.

    A callback may have a method `stop_requested`, which is called after each step and scored image.
    """

    def __init__(self, callbacks: Sequence[Callable[[Event], object]]) -> None:
        self.emit = emit_to_all(*callbacks)  # type: ignore[arg-type]  # what a callback returns is not looked at
        self.questions = [each.stop_requested for each in callbacks if hasattr(each, "stop_requested")]
        self.has_stopped = False

    def __call__(self, event: Event) -> None:
        self.emit(event)

    def stop_requested(self) -> bool:
        """Return whether to stop the run. It is called only if nothing else stops it, so it is the reason."""
        self.has_stopped = any(ask() for ask in self.questions)
        return self.has_stopped


def train_config(config: Config, callbacks: Sequence[Callable[[Event], object]], *, resume: bool) -> bool:
    """Train all folds that a config asks for; return whether the training came to its end.

    It does not if a callback stops it. Raises `UserError` for every fault that the caller can fix, and
    `KeyboardInterrupt` after Ctrl-C, with the state saved.
    """
    if callbacks and config.launcher != "local":
        raise UserError(f"callbacks: launcher={config.launcher} trains in other processes. Leave out one of them.")
    observer = Callbacks(callbacks)
    command = f"carpus.train({str(config.run.folder / config.run.name)!r}, resume=True)"
    try:
        with user_errors():
            train_folds(config, resume=resume, command=command, observer=observer)
    except Interrupted:
        if observer.has_stopped:
            return False
        raise KeyboardInterrupt(f"saved; continue with {command}") from None
    finally:
        free_memory()
    return True


@contextmanager
def user_errors() -> Iterator[None]:
    """Raise a `UserError` in the place of an error about a file that the caller can fix."""
    try:
        yield
    except OSError as error:
        sentence = sentence_about_file(error)
        if sentence is None:
            raise
        raise UserError(sentence) from error


def read_config(given: Config | Mapping[str, Any] | str | Path, overrides: Sequence[str], *, resume: bool) -> Config:
    """Read the config of a YAML file, of plain values, or (with `resume`) of a run's folder.

    Relative paths in plain values begin at the current folder. Raises `UserError` as `load` does.
    """
    overrides = [overrides] if isinstance(overrides, str) else list(overrides)
    if isinstance(given, Config):
        config = from_values(as_dict(given), overrides) if overrides else given
    elif isinstance(given, Mapping):
        config = from_values(with_places(given), overrides)
    elif (path := Path(expand(str(given)))).is_dir():
        if not resume:
            raise UserError(f"{path}: is a folder. Name a config, or continue the run in it with resume=True.")
        return load_stored(path, overrides)
    else:
        config = load(path, overrides)
    return keep_length(config, run_folders(config), overrides) if resume else config


def with_places(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values with paths that begin at the current folder, as those of `key=value` arguments do."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found[name] = with_places(value, f"{key}.")
        else:
            found[name] = as_typed(key, str(value)) if key in PATH_KEYS and isinstance(value, str | Path) else value
    return found
