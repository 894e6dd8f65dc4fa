"""Programs that play scenes for a test: several processes, kills, a cluster."""

from __future__ import annotations

import os
import subprocess

from tests.forkserver import ForkServer
from tests.root import ROOT

LIMIT_S = 600


def play(server: ForkServer, module: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the tests as a program of its own, on one thread. Raises `AssertionError` if it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    done = server.start(["-m", module, *map(str, arguments)], ROOT, environment).wait(LIMIT_S)
    assert done.returncode == 0, done.stderr
    return done
