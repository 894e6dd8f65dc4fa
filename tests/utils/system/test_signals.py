from __future__ import annotations

import multiprocessing
import os
import signal
import time

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


def test_a_worker_never_dies_of_a_signal_to_the_group() -> None:
    def work() -> None:
        time.sleep(0.1)  # the signal comes before the worker has ignored it
        ignore_signals()

    worker = multiprocessing.get_context("fork").Process(target=work)
    with signals_held_back():
        worker.start()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(10)
    assert worker.exitcode == 0
