"""Send runs to an existing Ray cluster (`launcher=ray`): one GPU each, or one core if the cluster has no GPU.

Ray chooses the machines. If one dies, Ray starts its runs again on another, and they continue from their newest saved
states. So code, images and runs must be on a disk that all machines share, under the same paths.
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

MAX_RETRIES = 5
"""How often a run may be started again. Without a limit, a run that kills every machine would never end."""
LOCK_WAIT_S = 600.0
"""How long to wait for a run's lock: it remains until the network disk notices that a machine is dead."""
STOP_WAIT_S = 120.0
"""How long runs may take to save and end."""


def train_on_cluster(configs: Sequence[Config], *, resume: bool, command: str) -> None:
    """Train these runs on the machines of the cluster, as many at once as it has GPUs.

    Raises `UserError` if Ray or a cluster is missing, and, after all runs have ended, for those that failed. If this
    program is interrupted, the runs save and stop.
    """
    cluster = join_cluster()
    for config in configs:
        make_folder(config, resume=resume)
    sent = {cluster.send(partial(train_here, command=command), config): config for config in configs}
    for config in configs:
        log.info("%s: sent to the cluster; its log is %s", config.title, RunFolder(config.folder).log)
    with cluster.stopping_runs(sent, command):
        refuse_failures(wait_for_runs(cluster, sent))


def train_here(config: Config, *, command: str) -> str:
    """Train or resume a run whose folder exists; return the folder."""
    return str(train(config, resume=True, command=command).path)


def make_folder(config: Config, *, resume: bool) -> None:
    """Make the folder of a new run before it is sent; on whatever machine it starts, it then resumes.

    Raises `UserError` if the folder belongs to another run.
    """
    if not resume:
        open_folder(RunFolder(config.folder), resume=False, replace=config.run.if_exists == "replace")


def wait_for_runs(cluster: Cluster, sent: Mapping[Any, Config]) -> dict[str, Exception]:
    """Wait for all runs and log how each ends; return the errors of those that failed, by title."""
    left, failures = list(sent), {}
    while left:
        (done, *_), left = cluster.ray.wait(left)
        title = sent[done].title
        try:
            host, path = cluster.end_of(done)
            log.info("%s: done on %s; folder %s", title, host, path)
        except Exception as error:  # reported after the others have ended
            failures[title] = error
            log.info("%s: failed; the others continue", title)
    return failures


def refuse_failures(failures: Mapping[str, Exception]) -> None:
    """Raise the errors of failed runs: one that is no `UserError`, or else one `UserError` with a line for each."""
    for error in failures.values():
        if not isinstance(error, UserError):
            raise error
    if failures:
        raise UserError("\n".join(f"{title}: {error}" for title, error in failures.items()))


def join_cluster() -> Cluster:
    """Connect to the running cluster. Raises `UserError` if Ray or a cluster is missing."""
    if process_ranks().world > 1:
        raise UserError(
            "launcher=ray: sends each run as one process. Start the program with python, or leave the key out."
        )
    ray = connect_to_ray()
    return Cluster(ray, resources_of_run(ray.cluster_resources()))


@dataclass(frozen=True)
class Cluster:
    """Machines to which runs are sent. `ray` is the module; `resources` is what one run uses: a GPU, or a core."""

    ray: Any
    resources: Mapping[str, float]

    @property
    def max_runs(self) -> int:
        """How many runs fit on the machines at one time if nothing else runs there, at least 1."""
        unit = "GPU" if "num_gpus" in self.resources else "CPU"
        return max(1, int(self.ray.cluster_resources().get(unit, 0)))

    def send(self, work: Callable[[Config], Any], config: Config) -> Any:
        """Call `work` with a config on some machine; return Ray's reference to its result.

        If the machine dies, `work` is called again on another one, so it must resume a run that was begun.
        """
        options = {"max_calls": 1, "max_retries": MAX_RETRIES, "retry_exceptions": [Preempted], **self.resources}
        return self.ray.remote(**options)(run_task).remote(work, as_dict(config), os.getcwd())

    def end_of(self, sent: Any) -> tuple[str, Any]:
        """Return the machine on which a run ended, and the result of its work.

        Raises the error of the work, and `UserError` if its machines died too often.
        """
        try:
            host, value = self.ray.get(sent)
        except self.ray.exceptions.RayError as error:
            raise cause_of(error) from error  # its text holds the traceback of the other machine
        return host, value

    @contextmanager
    def stopping_runs(self, sent: Collection[Any], command: str) -> Iterator[None]:
        """If an error ends this block, stop the running runs after they have saved, and log how to continue them."""
        try:
            yield
        except BaseException as error:
            saved = self.stop(list(sent))
            if isinstance(error, KeyboardInterrupt):
                how = "everything is saved" if saved else "the newest saved states are kept"
                log.info("stopped, %s. Continue with: %s", how, command)
            raise

    def stop(self, sent: Sequence[Any]) -> bool:
        """Stop runs after they have saved, and waiting ones at once; return whether all have ended in time."""
        left = self.ray.wait(sent, num_returns=len(sent), timeout=0)[1] if sent else []
        if not left:
            return True
        log.info("stopping the runs on the cluster; they save first")
        for each in left:
            self.ray.cancel(each)
        return not self.ray.wait(left, num_returns=len(left), timeout=STOP_WAIT_S)[1]


class Preempted(UserError):
    """The machine was taken away. The state is saved, and Ray starts the run again on another machine."""


def run_task(work: Callable[[Config], Any], values: Mapping[str, Any], folder: str) -> tuple[str, Any]:
    """Call `work` in a process that Ray has started; return the name of the machine and the result."""
    os.chdir(folder)
    config = from_mapping(dict(values), source="the config that was sent")
    until_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return platform.node(), work(config)
        except Interrupted as error:
            raise Preempted(
                f"{error}: machines were taken away {1 + MAX_RETRIES} times. Its states are kept."
            ) from None
        except Busy as error:
            if time.monotonic() > until_s:
                raise UserError(str(error)) from None
            time.sleep(1)
        except UserError as error:
            raise UserError(str(error)) from None  # other kinds of errors may not be transferable


def cause_of(error: Exception) -> Exception:
    """Return the error of the work, or a sentence with the reason for which Ray stopped trying."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        return cause
    first_line = str(error).strip().partition("\n")[0]
    return UserError(
        f"Ray gave up this run after {MAX_RETRIES} further tries ({type(error).__name__}: {first_line}). Its log may "
        "say why its processes die; often memory runs out."
    )


def connect_to_ray() -> Any:
    """Return the module `ray`, connected to a cluster. Raises `UserError` if one of them is missing."""
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


def resources_of_run(resources: Mapping[str, float]) -> dict[str, float]:
    """Return what one run uses of a cluster with these resources: a GPU if there is any, else a core."""
    return {"num_gpus": 1} if resources.get("GPU", 0) >= 1 else {"num_cpus": 1}
