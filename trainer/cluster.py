"""Runs sent to an existing Ray cluster, `launcher=ray`: one GPU each, or one core where the cluster has no GPU.

Ray chooses the machines. Where one dies, Ray starts its runs again on another, and they go on from their newest saved
states: so all machines must see the code, the images and the runs under the same paths, on a disk that they share.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from configs.load import as_dict, from_mapping
from configs.schema import Config
from trainer.engine import Interrupted
from trainer.folder import RunFolder, open_folder
from trainer.run import train
from utils.errors import UserError
from utils.lock import Busy

log = logging.getLogger(__name__)

RETRIES = 5
"""Machines that a run may lose. One that brings each of its machines down must come to an end."""
LOCK_WAIT_S = 600.0
"""A run's lock outlives a dead machine for as long as the network disk takes to notice."""
STOP_WAIT_S = 120.0
"""How long a run that is stopped may take to save."""


class Preempted(Exception):
    """The machine was taken away; the state is saved, and Ray tries again elsewhere."""


def train_on_cluster(configs: Sequence[Config], *, resume: bool, command: str) -> None:
    """Train each of these runs on some machine of the cluster, as many at once as it has room for.

    Raises `UserError` where Ray or a cluster is missing, and for what ended a run, when the others have ended too.
    Where this program is interrupted, the runs save and stop.
    """
    ray = connected()
    for config in configs:
        begin(config, resume=resume)
    slot = slot_of(ray.cluster_resources())
    send = ray.remote(max_calls=1, max_retries=RETRIES, retry_exceptions=[Preempted], **slot)(train_here).remote
    sent = {send(as_dict(config), os.getcwd(), sys.path[0], command): config for config in configs}
    for config in configs:
        log.info("%s: sent to the cluster; its log is %s", config.title, RunFolder(config.folder).log)
    try:
        refuse_failures(collected(ray, sent))
    except KeyboardInterrupt:
        stop(ray, list(sent))
        log.info("stopped, everything is saved. Continue with: %s", command)
        raise


def train_here(values: Mapping[str, Any], folder: str, code: str, command: str) -> tuple[str, str]:
    """Train one run, in a process that Ray has started; returns the machine's name and a word on how it went."""
    os.chdir(folder)
    if code not in sys.path:
        sys.path.insert(0, code)
    config = from_mapping(dict(values), source="the config that was sent")
    until_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return platform.node(), str(train(config, resume=True, command=command).path)
        except Interrupted as left:
            raise Preempted(str(left)) from None
        except Busy as error:
            if time.monotonic() > until_s:
                raise UserError(str(error)) from None
            time.sleep(1)
        except UserError as error:
            raise UserError(str(error)) from None  # whatever its kind, it must survive the way back


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


def begin(config: Config, *, resume: bool) -> None:
    """Make a new run's folder, or refuse it, before anything is sent: wherever it lands it then only goes on."""
    if not resume:
        open_folder(RunFolder(config.folder), resume=False, replace=config.run.if_exists == "replace")


def collected(ray: Any, sent: Mapping[Any, Config]) -> dict[str, Exception]:
    """Wait for all runs and tell each one's end; returns what ended those that failed, by title."""
    left, failures = list(sent), {}
    while left:
        (done, *_), left = ray.wait(left)
        title = sent[done].title
        try:
            host, path = ray.get(done)
            log.info("%s: done on %s; folder %s", title, host, path)
        except ray.exceptions.RayError as error:
            failures[title] = getattr(error, "cause", None) or error
            log.info("%s: failed; the others go on", title)
    return failures


def refuse_failures(failures: Mapping[str, Exception]) -> None:
    """Raise what ended runs: a `UserError` with a line for each, where all are such."""
    for error in failures.values():
        if not isinstance(error, UserError):
            raise error
    if failures:
        raise UserError("\n".join(f"{title}: {error}" for title, error in failures.items()))


def stop(ray: Any, sent: Sequence[Any]) -> None:
    """Let runs save and end, those that wait for a machine at once."""
    log.info("stopping the runs on the cluster; they save first")
    for each in sent:
        ray.cancel(each)
    ray.wait(sent, num_returns=len(sent), timeout=STOP_WAIT_S)
