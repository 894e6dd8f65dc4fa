"""Read many broken files with each reader: `python -m tests.fuzz [--inputs 100000] [--seed N] [--reader NAME …]`.

Each reader returns a value or raises `UserError` with a sentence. Anything else is printed with the bytes, and the
exit code is then 1. The same seed breaks the same files. A short form runs with the tests.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.readers import READERS, search

SHOWN = 3


def main() -> int:
    arguments = parse()
    failed = False
    for reader in READERS:
        if arguments.reader and reader.name not in arguments.reader:
            continue
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            count = search(reader, arguments.inputs, arguments.seed, Path(folder))
        seconds = time.monotonic() - begin
        counts = f"{count.read} read, {count.refused} refused, {len(count.failures)} failures"
        sys.stdout.write(f"{reader.name:12} {arguments.inputs} inputs in {seconds:.0f} s: {counts}\n")
        for content, fault in count.failures[:SHOWN]:
            sys.stdout.write(f"    {fault}\n    {content!r}\n")
        sys.stdout.flush()
        failed = failed or bool(count.failures)
    return int(failed)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Read broken files with each reader.")
    parser.add_argument("--inputs", type=int, default=100_000, metavar="N", help="files for each reader")
    parser.add_argument("--seed", type=int, default=0, help="other files for each number")
    parser.add_argument("--reader", nargs="+", choices=[reader.name for reader in READERS], help="only these")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
