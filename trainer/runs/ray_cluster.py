"""Runs sent to an existing Ray cluster, `launcher=ray`: one GPU each, or one core where the cluster has no GPU.

Ray chooses the machines. Where one dies, Ray starts its runs again on another, and they go on from their newest saved
states: so all machines must see the code, the images and the runs under the same paths, on a disk that they share.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from configs.loading.load import as_dict, from_mapping
from configs.schema import Config
from trainer.records.folder import RunFolder, open_folder
from trainer.runs.run import train
from utils.errors import Interrupted, UserError
from utils.lock import Busy
from utils.processes import process_ranks

log = logging.getLogger(__name__)

RETRIES = 5
"""Machines that a run may lose. One that brings each of its machines down must come to an end."""
LOCK_WAIT_S = 600.0
"""A run's lock outlives a dead machine for as long as the network disk takes to notice."""
STOP_WAIT_S = 120.0
"""How long runs that are stopped may take to save."""


def train_on_cluster(configs: Sequence[Config], *, resume: bool, command: str) -> None:
    """Train each of these runs on some machine of the cluster, as many at once as it has room for.

    Raises `UserError` where Ray or a cluster is missing, and for what ended a run, when the others have ended too.
    Where this program is interrupted, the runs save and stop.
    """
    cluster = join_cluster()
    for config in configs:
        begin(config, resume=resume)
    sent = {cluster.send(partial(train_here, command=command), config): config for config in configs}
    for config in configs:
        log.info("%s: sent to the cluster; its log is %s", config.title, RunFolder(config.folder).log)
    with cluster.stopping(sent, command):
        refuse_failures(collected(cluster, sent))


def train_here(config: Config, *, command: str) -> str:
    """Train a run that was begun, or go on with it; returns its folder."""
    return str(train(config, resume=True, command=command).path)


def begin(config: Config, *, resume: bool) -> None:
    """Make a new run's folder, or refuse it, before anything is sent: wherever it lands it then only goes on."""
    if not resume:
        open_folder(RunFolder(config.folder), resume=False, replace=config.run.if_exists == "replace")


def collected(cluster: Cluster, sent: Mapping[Any, Config]) -> dict[str, Exception]:
    """Wait for all runs and tell each one's end; returns what ended those that failed, by title."""
    left, failures = list(sent), {}
    while left:
        (done, *_), left = cluster.ray.wait(left)
        title = sent[done].title
        try:
            host, path = cluster.end_of(done)
            log.info("%s: done on %s; folder %s", title, host, path)
        except Exception as error:  # told, all together, when the others have ended
            failures[title] = error
            log.info("%s: failed; the others go on", title)
    return failures


def refuse_failures(failures: Mapping[str, Exception]) -> None:
    """Raise what ended runs: a `UserError` with a line for each, where all are such."""
    for error in failures.values():
        if not isinstance(error, UserError):
            raise error
    if failures:
        raise UserError("\n".join(f"{title}: {error}" for title, error in failures.items()))


def join_cluster() -> Cluster:
    """The cluster that is there. Raises `UserError` where Ray or a cluster is missing."""
    if process_ranks().world > 1:
        raise UserError(
            "launcher=ray: sends each run as one process. Start the program with python, or leave the key out."
        )
    ray = connected()
    return Cluster(ray, slot_of(ray.cluster_resources()))


@dataclass(frozen=True)
class Cluster:
    """Machines to which runs are sent. `ray` is the module; `slot` is what a run takes of a machine."""

    ray: Any
    slot: Mapping[str, float]

    @property
    def room(self) -> int:
        """How many runs the machines that are there now have room for, others' work left aside; 1 or more."""
        unit = "GPU" if "num_gpus" in self.slot else "CPU"
        return max(1, int(self.ray.cluster_resources().get(unit, 0)))

    def send(self, work: Callable[[Config], Any], config: Config) -> Any:
        """Let `work` train a run on some machine; returns Ray's reference to its end.

        `work` is called again, elsewhere, where its machine dies: it must go on with what it finds begun.
        """
        options = {"max_calls": 1, "max_retries": RETRIES, "retry_exceptions": [Preempted], **self.slot}
        return self.ray.remote(**options)(do_here).remote(work, as_dict(config), os.getcwd())

    def end_of(self, sent: Any) -> tuple[str, Any]:
        """The machine where a run ended, and what its work returned.

        Raises what the work raised, and `UserError` where machine after machine died of it.
        """
        try:
            host, value = self.ray.get(sent)
        except self.ray.exceptions.RayError as error:
            raise cause_of(error) from error  # whose text holds the traceback from over there
        return host, value

    @contextmanager
    def stopping(self, sent: Collection[Any], command: str) -> Iterator[None]:
        """Whatever ends this block early: let the runs that are left save and stop, and tell what continues them."""
        try:
            yield
        except BaseException as error:
            saved = self.stop(list(sent))
            if isinstance(error, KeyboardInterrupt):
                how = "everything is saved" if saved else "the newest saved states are kept"
                log.info("stopped, %s. Continue with: %s", how, command)
            raise

    def stop(self, sent: Sequence[Any]) -> bool:
        """Let runs save and end, those that wait for a machine at once; whether all have ended in time."""
        left = self.ray.wait(sent, num_returns=len(sent), timeout=0)[1] if sent else []
        if not left:
            return True
        log.info("stopping the runs on the cluster; they save first")
        for each in left:
            self.ray.cancel(each)
        return not self.ray.wait(left, num_returns=len(left), timeout=STOP_WAIT_S)[1]


class Preempted(UserError):
    """The machine was taken away; the state is saved, and Ray tries again elsewhere."""


def do_here(work: Callable[[Config], Any], values: Mapping[str, Any], folder: str) -> tuple[str, Any]:
    """Do what was sent, in a process that Ray has started; returns the machine's name and what `work` returned."""
    os.chdir(folder)
    config = from_mapping(dict(values), source="the config that was sent")
    until_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return platform.node(), work(config)
        except Interrupted as left:
            raise Preempted(f"{left}: its machines were taken away {RETRIES + 1} times. The states are kept.") from None
        except Busy as error:
            if time.monotonic() > until_s:
                raise UserError(str(error)) from None
            time.sleep(1)
        except UserError as error:
            raise UserError(str(error)) from None  # whatever its kind, it must survive the way back


def cause_of(error: Exception) -> Exception:
    """What the work raised, or a sentence on why Ray has given it up."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        return cause
    first_line = str(error).strip().partition("\n")[0]
    return UserError(
        f"Ray has given this run up after {RETRIES} further tries ({type(error).__name__}: {first_line}). Its log may "
        "say what brings its processes down; memory that runs out often does."
    )


def connected() -> Any:
    """The module `ray`, connected to a cluster. Raises `UserError` where either is missing."""
    try:
        import ray
    except ImportError:
        raise UserError(
            "launcher=ray: the package ray is not installed. Install it on every machine of the cluster with "
            "`.venv/bin/python -m pip install -r requirements-ray.txt`, or train here with launcher=local."
        ) from None
    if ray.is_initialized():
        return ray
    address = os.environ.get("RAY_ADDRESS", "auto")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"launcher=ray: no Ray cluster answers at address '{address}'. Start one with `ray start --head`, join "
            "machines with `ray start --address=HEAD:6379`, or set RAY_ADDRESS; or train here with launcher=local."
        ) from error
    return ray


def slot_of(resources: Mapping[str, float]) -> dict[str, float]:
    """What a run takes of a cluster with these resources."""
    return {"num_gpus": 1} if resources.get("GPU", 0) >= 1 else {"num_cpus": 1}
