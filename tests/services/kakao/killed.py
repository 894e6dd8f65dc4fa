"""Renew a token in a process that is killed at a chosen line: `python -m tests.services.kakao.killed ENV URL`.

It reads numbers, one a line. For each it forks a process that renews and dies, without any clean-up, before the line of
that number that our code would execute; it answers with that process's exit code: 9 killed, 0 done before, 1 failed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from services.channel import NotDelivered, Refused
from services.kakao.tokens import Tokens
from services.secrets import Secrets

# All but http.py, which hands each piece of an answer on as it comes off the wire: that gap nobody can close.
OURS = ("tokens.py", "renewal.py", "env_file.py", "files.py", "lock.py", "secrets.py")
KILLED = 9


def renew_until(line: int, tokens: Tokens) -> int:
    """Renew with any margin; never returns where the line is reached."""
    left = line

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if os.path.basename(frame.f_code.co_filename) not in OURS:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os._exit(KILLED)
        return trace

    sys.settrace(trace)
    try:
        tokens.renew(1e9)
    except (NotDelivered, Refused):
        return 1
    return 0


def main() -> None:
    env, url = Path(sys.argv[1]), sys.argv[2]
    os.fsync = lambda _: None  # type: ignore[assignment]  # a killed process loses nothing that is written
    Tokens(Secrets(env, {}), url).renew(1e9)  # so that every import is done
    for number in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(renew_until(int(number), Tokens(Secrets(env, {}), url)))
        status = os.waitpid(child, 0)[1]
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
