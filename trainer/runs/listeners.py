"""The listeners of a run's events: console, metrics file, services, and an observer such as that of a search."""

from __future__ import annotations

import logging
import platform
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from configs.blocks.services import Services
from configs.loading.load import as_dict
from configs.schema import Config
from services.channel import RunFacts
from services.console import Console
from services.delivery.delivery import reasons_off
from services.delivery.publisher import EventPublisher
from services.delivery.run_memory import RUN, RunMemory, original_of
from services.secrets import Secrets
from trainer.records.environment import code_state
from trainer.records.folder import SERVICES, RunFolder
from trainer.records.history import History
from utils.errors import UserError
from utils.events import Event, Listener
from utils.log import close_log, log_to_file
from utils.system.user import user_name

log = logging.getLogger(__name__)


class RunObserver(Protocol):
    """What receives a run's events and may ask it to stop, such as the pruning of a search."""

    def __call__(self, event: Event, /) -> None: ...

    def stop_requested(self) -> bool: ...


@contextmanager
def listeners(
    config: Config, folder: RunFolder, observer: RunObserver | None, *, command: str, is_main: bool
) -> Iterator[Listener]:
    """Yield what takes the run's events to console, log, metrics file and services; only the main process has any."""
    if not is_main:
        yield lambda _: None
        return
    metric = config.chosen_task.metric
    console, file_log = Console(metric.label), log_to_file(folder.log)
    trackers = build_trackers(config, folder, command)
    observers = [] if observer is None else [observer]
    try:
        with service_publishers(config, folder, command=command) as publishers:
            yield emit_to_all(console, History(folder.metrics, metric), *trackers, *publishers, *observers)
    finally:
        console.close()
        close_log(file_log)


def refuse_missing_trackers(config: Config) -> None:
    """Raise `UserError` if a tracker of the config cannot be used here; before a run's folder is made."""
    for spec in config.trackers:
        spec.build(None)


def build_trackers(config: Config, folder: RunFolder, command: str) -> list[Listener]:
    """Build the trackers of the config."""
    return [spec.build(facts_of(config, folder, command)) for spec in config.trackers]


@contextmanager
def service_publishers(config: Config, folder: RunFolder, *, command: str) -> Iterator[list[EventPublisher]]:
    """Yield the publisher for the services, or none if all are off; log in one line which are off."""
    settings, secrets = as_dict(config.services), Secrets()
    try:
        why = reasons_off(settings, secrets)
        off = {name: reason for name, reason in why.items() if reason is not None}
        if off:
            log.info("services that are off: %s; see python -m services.check", said_of(off, settings))
        publishers = (
            [EventPublisher(facts_of(config, folder, command), settings, secrets)] if len(off) < len(why) else []
        )
    except (UserError, OSError) as error:
        log.warning("the services receive nothing of this run: %s", error)
        publishers = []
    try:
        yield publishers
    finally:
        for each in publishers:
            each.close()


def said_of(off: Mapping[str, str], settings: Mapping[str, Any]) -> str:
    """Channels that are off, by name, with the reason if something is configured or wrong for one."""
    plain = as_dict(Services())
    unused = [name for name, why in off.items() if settings[name] == plain[name] and "is not set" in why]
    return ", ".join(name if name in unused else f"{name} ({why})" for name, why in off.items())


def identify(folder: RunFolder) -> str:
    """The id of the run, which is made once and kept in its folder. A copy of a run's folder is another run."""
    original = original_of(folder.path)
    if original is not None:
        log.info("%s: a copy of %s, which keeps its messages; the services see a new run", folder.path, original)
        for name in SERVICES:
            (folder.path / name).unlink(missing_ok=True)
    memory = RunMemory(folder.path).block(RUN)
    memory.set(run_id=memory.get("run_id") or uuid.uuid4().hex[:12], folder=str(folder.path.absolute()))
    run_id: str = memory.get("run_id")
    return run_id


def facts_of(config: Config, folder: RunFolder, command: str) -> RunFacts:
    """What the services may say of a run, or of several folds as one."""
    run_id = identify(folder)
    commit, changes = code_state()
    values = as_dict(config)
    del values["services"]
    whole = folder.path == config.run.folder / config.run.name
    several = not isinstance(config.fold, int)
    return RunFacts(
        run_id=run_id,
        title=config.run.name if whole else config.title,
        name=config.run.name,
        task=config.task,
        fold=None if whole and several else config.held_out,
        folder=folder.path.absolute(),
        group=None if whole else folder.path.absolute().parent,
        command=command,
        host=platform.node(),
        user=user_name(),
        commit=commit,
        dirty=bool(changes),
        config=values,
        metric=config.chosen_task.metric,
    )


def emit_to_all(*listeners: Listener) -> Listener:
    """Combine listeners into one that passes each event to all, in order; one that fails is logged and left out."""
    left = list(listeners)

    def emit(event: Event) -> None:
        for listener in list(left):
            try:
                listener(event)
            except Exception as error:  # a listener must never end a run, whatever its fault
                left.remove(listener)
                log.warning("%s: receives no more events after an error (%s)", type(listener).__name__, error)

    return emit
