"""Reads CONTRIBUTING.md: its sections, and what the comments in its source say about each example.

A comment stands on its own line before a block of code, or right behind a piece of code in a sentence:

    <!-- file: PATH -->                a new file
    <!-- package: PATH -->             a new folder with an empty `__init__.py`
    <!-- add: PATH -->                 new code at the end of a file
    <!-- add: PATH before NAME -->     new code before the assignment to NAME
    <!-- entry: NAME in PATH -->       one more entry of a dictionary or tuple
    <!-- import: PATH -->              one more import
    <!-- edit: PATH -->                a diff: lines with - are replaced by lines with +
    <!-- secret: PATH -->              lines `VARIABLE=` for the end of the example of `.env`
    <!-- finish -->                    a command that follows the changes above
    <!-- prepare -->                   a command that precedes every training
    <!-- recipe: PATH -->              the first lines of a recipe
    <!-- use -->                       YAML for the recipe; what sets a key twice is trained with in another recipe
    <!-- train -->                     the command that trains with the recipe
    <!-- run -->                       commands after the training of this section
    <!-- shows -->                     lines of what the last of these commands writes; numbers may differ
    <!-- says: PATH -->                the content of a file after the training; numbers may differ
    <!-- tests: WORD -->               a test file that finds the example: its tests with WORD in the name, or all

All paths come from the page. Nothing here or in the files beside it names one of the product.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from tests.root import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHAPTER = "A new component"
VERBS = (
    *("package", "file", "add", "entry", "import", "edit", "secret"),
    *("finish", "prepare", "recipe", "use", "train", "run", "shows", "says", "tests"),
)

_COMMENT = r"<!-- (?P<verb{n}>\w+)(?:: (?P<target{n}>[^>]+?))? -->"
_EXAMPLE = re.compile(
    rf"(?ms)^{_COMMENT.format(n=1)}\n```\w*\n(?P<block>.*?)^```$|`(?P<span>[^`\n]+)`{_COMMENT.format(n=2)}"
)


@dataclass(frozen=True)
class Step:
    """One example of the page, and what its comment says about it."""

    verb: str
    target: str
    """What follows the verb and a colon; empty if nothing does."""
    code: str
    """The example as it stands on the page; a block ends with a line break."""
    line: int
    """Of the page, from 1."""

    def __str__(self) -> str:
        return f"CONTRIBUTING.md:{self.line}: {self.verb} {self.target}".rstrip()


@dataclass(frozen=True)
class Section:
    """A `###` section of the chapter, or what stands before the first of them."""

    title: str
    text: str
    steps: tuple[Step, ...]

    def of(self, *verbs: str) -> list[Step]:
        return [step for step in self.steps if step.verb in verbs]

    @property
    def visible(self) -> str:
        """What a reader sees: the text without comments."""
        return re.sub(r"(?s)<!--.*?-->", "", self.text)

    @property
    def unmarked(self) -> str:
        """The text without the examples that have a comment."""
        return _EXAMPLE.sub("", self.text)


def sections_of(text: str) -> list[Section]:
    """Split the chapter at its `###` headings; the first section has an empty title."""
    begin = text.index(f"\n## {CHAPTER}\n") + 1
    end = text.find("\n## ", begin)
    chapter = text[begin : end if end > 0 else None]
    starts = [0, *(match.start() for match in re.finditer(r"(?m)^### ", chapter)), len(chapter)]
    first_line = text.count("\n", 0, begin) + 1
    return [
        _section(chapter[start:stop], first_line + chapter.count("\n", 0, start)) for start, stop in pairwise(starts)
    ]


def _section(text: str, first_line: int) -> Section:
    heading = re.match(r"### (.+)", text)
    steps = [_step(match, first_line + text.count("\n", 0, match.start())) for match in _EXAMPLE.finditer(text)]
    return Section(heading.group(1) if heading else "", text, tuple(steps))


def _step(match: re.Match[str], line: int) -> Step:
    verb, target = match["verb1"] or match["verb2"], match["target1"] or match["target2"]
    return Step(verb, target or "", match["block"] or match["span"], line)
