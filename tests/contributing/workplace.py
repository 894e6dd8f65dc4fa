"""A copy of the code with all examples of the page added, in which commands are run as the page writes them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.contributing import edits
from tests.contributing.page import Section, Step
from tests.contributing.recipes import recipes_of
from tests.forkserver import ForkServer
from tests.root import ROOT

NOT_CODE = ("runs", "datasets")
"""Folders of the root that hold what programs leave there."""
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
"""Environment variables that commands are given. Those of a developer's services are not among them."""


@dataclass
class Workplace:
    """The copy, and what was done there."""

    root: Path
    sections: list[Section]
    fork_server: ForkServer
    done: set[Step] = field(default_factory=set)
    """Steps that were executed; those whose section has not been trained with yet are missing."""

    @property
    def intro(self) -> Section:
        return self.sections[0]

    def build(self, secret_value: str) -> None:
        """Add all examples, set every new secret to `secret_value`, and run the commands that need no training."""
        for section in self.sections:
            for step in section.of(*edits.EDITS):
                edits.apply(step, self.root)
                self.done.add(step)
        self._write_secrets(secret_value)
        for step in self.intro.of("finish", "prepare"):
            self.call(step)

    def train(self) -> None:
        """Train with every example, in as few runs as possible, and do what each section does after its run."""
        (beginning,) = self.intro.of("recipe")
        for recipe in recipes_of(self.sections[1:], beginning.code):
            (self.root / beginning.target).write_text(recipe.text, encoding="utf-8")
            for step in self.intro.of("train"):
                self.call(step)
            self.done |= {beginning, *recipe.steps}
            for section in recipe.sections:
                self._follow(section)

    def _follow(self, section: Section) -> None:
        """Do what follows the training of a section. One that is trained with twice does it after the first."""
        written = ""
        for step in section.of("run", "shows", "says"):
            if step in self.done:
                continue
            if step.verb == "run":
                written = self.call(step)
            elif step.verb == "shows":
                check_shown(step, written)
            else:
                check_shown(step, (self.root / step.target).read_text(encoding="utf-8"))
            self.done.add(step)

    def call(self, step: Step) -> str:
        """Run the commands of a step; what they wrote. Raises `AssertionError` if one fails."""
        written = "".join(self.run(step, line) for line in step.code.splitlines())
        self.done.add(step)
        return written

    def run(self, step: Step, line: str) -> str:
        words = words_of(line)
        if words[0] == sys.executable:
            done = self.start(words[1:])
        else:
            environment = self._environment()
            done = subprocess.run(words, cwd=self.root, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{step}: {line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def start(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run `python ARGUMENTS` to its end."""
        return self.fork_server.run(arguments, self.root, self._environment())

    def _environment(self) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {**passed_on, "OMP_NUM_THREADS": "1", "XDG_STATE_HOME": str(self.root / ".state")}

    def _write_secrets(self, value: str) -> None:
        steps = [step for section in self.sections for step in section.of("secret")]
        path = self.root / ".env"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}={value}\n" for step in steps for name in edits.variables_of(step)))


def copy_code(to: Path) -> Path:
    """Copy the code and what is compiled of it, without runs, data and hidden files: `.env` holds secrets."""

    def left_out(folder: str, names: list[str]) -> list[str]:
        not_code = NOT_CODE if Path(folder) == ROOT else ()
        return [name for name in names if name in not_code or (name.startswith(".") and name != ".env.example")]

    return Path(shutil.copytree(ROOT, to, ignore=left_out))


def words_of(line: str) -> list[str]:
    """The words of a command of the page, with this Python; `make` must not set up an environment of its own."""
    first, *rest = shlex.split(line)
    programs = {"python": [sys.executable], "make": ["make", "-o", "setup", f"PY={sys.executable}"]}
    assert first in programs, f"{line}: only python and make are run"
    return [*programs[first], *rest]


def check_shown(step: Step, text: str) -> None:
    """Raise `AssertionError` if `text` does not hold the lines of the step, whatever their numbers."""
    assert _without_numbers(step.code.strip()) in _without_numbers(text), f"{step}: not in\n{text}"


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "0", text)
