"""Check the machine before training: `python -m utils.doctor [--config FILE] [key=value …] [--json FILE]`.

Exit code 0 if there is no problem (warnings do not count), 2 if there is one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from utils.doctor.dataset import check_dataset
from utils.doctor.disk import check_disk
from utils.doctor.finding import Finding, as_plain
from utils.doctor.gpu import check_gpu
from utils.doctor.machine import check_machine
from utils.doctor.measured import check_config
from utils.doctor.show import show, summary_of
from utils.doctor.software import check_software
from utils.files import write_text
from utils.program import run_program

CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (check_software, check_gpu, check_machine, check_disk)
LIMIT_S = 120.0


def main() -> int:
    arguments = parse()
    findings = []
    for finding in run_checks(arguments):
        show([finding])
        findings.append(finding)
    sys.stdout.write(f"\n{summary_of(findings)}\n")
    if arguments.json:
        write_text(arguments.json, json.dumps([as_plain(f) for f in findings], indent=2, ensure_ascii=False) + "\n")
    return 2 if any(finding.level == "problem" for finding in findings) else 0


def run_checks(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Yield every finding as soon as it is known."""
    for check in CHECKS:
        yield from check()
    if arguments.config is None:
        yield from check_dataset()
        return
    sys.stdout.write(f"\n{arguments.config}: measuring for at most {arguments.limit_s:g} s\n")
    sys.stdout.flush()
    yield from check_config(arguments.config, arguments.overrides, arguments.limit_s)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m utils.doctor", description="Look for what may stand in the way.")
    parser.add_argument("--config", metavar="FILE", help="also measure what this experiment needs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings there too")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, metavar="S", help="longest measurement, in seconds")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that replace the file's")
    arguments = parser.parse_intermixed_args()
    if arguments.overrides and arguments.config is None:
        parser.error("key=value settings belong to a --config FILE")
    return arguments


if __name__ == "__main__":
    run_program(main)
