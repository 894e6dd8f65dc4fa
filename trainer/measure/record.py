"""The findings of a measurement, shown and written as soon as they are known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from utils.doctor.finding import Finding, as_plain
from utils.doctor.measured import DONE
from utils.doctor.show import show
from utils.files import write_text


class Record:
    """The findings so far. Each is shown and written at once, so that a measurement that is stopped keeps them."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.stage = "start"
        self.findings: list[Finding] = []
        self.facts: dict[str, Any] = {}

    def enter(self, stage: str) -> None:
        """Record which part is measured now."""
        self.stage = stage
        self.write()

    def add(self, findings: Iterable[Finding], **facts: Any) -> None:
        """Show and record findings, and the numbers (frozen dataclasses) that they follow from."""
        new = list(findings)
        show(new)
        self.findings += new
        self.facts.update({name: asdict(value) for name, value in facts.items()})

    def close(self) -> int:
        """Record the end; return the exit code of the program."""
        self.enter(DONE)
        return 2 if any(finding.level == "problem" for finding in self.findings) else 0

    def write(self) -> None:
        """Write the file, if one was asked for."""
        if self.path is not None:
            content = {"stage": self.stage, "findings": list(map(as_plain, self.findings)), "facts": self.facts}
            write_text(self.path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
