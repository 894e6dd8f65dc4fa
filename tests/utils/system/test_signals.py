from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from multiprocessing.context import ForkProcess as Process

import pytest

from utils.system.signals import ignore_signals, signals_held_back


def test_a_signal_comes_after_the_block_that_holds_it_back() -> None:
    begun = []

    def begin() -> None:
        with signals_held_back():
            os.kill(os.getpid(), signal.SIGINT)
            begun.append("a worker")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if the tests run in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            begin()
    finally:
        signal.signal(signal.SIGINT, before)
    assert begun == ["a worker"]


@pytest.fixture
def worker() -> Iterator[Process]:
    """A worker that ignores signals after 0.1 s, so that one sent at once comes before."""

    def work() -> None:
        time.sleep(0.1)
        ignore_signals()
        time.sleep(0.3)

    worker = multiprocessing.get_context("fork").Process(target=work)
    with signals_held_back():
        worker.start()
    yield worker
    worker.kill()


@pytest.mark.parametrize("pause_s", [0.0, 0.2], ids=["at its start", "at work"])
def test_a_worker_never_dies_of_a_signal_to_the_group(worker: Process, pause_s: float) -> None:
    time.sleep(pause_s)
    subprocess.run(["kill", "-TERM", str(worker.pid)], check=True)
    worker.join(10)
    assert worker.exitcode == 0


def test_the_main_process_can_end_a_worker(worker: Process) -> None:
    began_s = time.monotonic()
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 0
    assert time.monotonic() - began_s < 0.3
